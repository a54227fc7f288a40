"""Decisions that are made before the plan is back at its workflow: people can decide as soon as it is frozen."""

import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from temporalio.client import WorkflowHandle

from activities.permits import StandingPermits
from tellfirst.contract import Result, Stage
from tellfirst.signing.documents import digest
from tests.signing.make import envelope
from tests.world import World

Handle = WorkflowHandle[Any, Result]


class HeldBack(StandingPermits):
    """Is asked about a plan that is frozen already, and keeps its activity from coming back until it is let."""

    def __init__(self, standing: StandingPermits) -> None:
        self._real, self.let = standing, threading.Event()

    def use(self, *given: Any, **named: Any) -> Any:
        assert self.let.wait(timeout=60)
        return self._real.use(*given, **named)


@pytest_asyncio.fixture(loop_scope="session")
async def held(world: World) -> AsyncIterator[HeldBack]:
    """Holds every plan of a world back between freezing and returning."""
    assert world.app is not None
    held = HeldBack(world.app.planning._standing)
    world.app.planning._standing = held
    yield held
    held.let.set()


async def frozen(world: World) -> Handle:
    """Returns an outreach whose plan people can decide about, and whose workflow does not have it yet."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    return handle


async def has_no_plan(world: World, handle: Handle) -> bool:
    return (await world.client.view(handle.id)).revisions == ()


async def test_an_early_approval_counts(world: World, held: HeldBack) -> None:
    handle = await frozen(world)
    assert (await world.client.submit(handle.id, world.envelope(handle.id))).status == "approved"
    assert await has_no_plan(world, handle)
    held.let.set()
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.stage(handle, Stage.AWAITING_WINDOW)


async def test_an_early_reject_counts(world: World, held: HeldBack) -> None:
    handle = await frozen(world)
    reject = world.envelope(handle.id, "reject")
    assert (await world.client.submit(handle.id, reject)).status == "rejected"
    assert await has_no_plan(world, handle)
    held.let.set()
    result = await world.finish(handle)
    assert (result.ending, result.accepted) == ("rejected", 0)


async def test_both_of_two_early_approvals_count(world: World, held: HeldBack) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\nquorum = 2\n"})
    handle = await frozen(world)
    first = world.envelope(handle.id)
    assert (await world.client.submit(handle.id, first)).status == "pending"
    plan = world.outreaches.revision(handle.id, 1)
    assert plan is not None
    second = plan.proposal.decide("approve", "ben", datetime.now(UTC), prior=digest(first.document))
    assert (await world.client.submit(handle.id, envelope(world.ben, second))).status == "approved"
    assert await has_no_plan(world, handle)
    held.let.set()
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_one_early_approval_of_two_is_counted_and_waits_for_the_other(world: World, held: HeldBack) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\nquorum = 2\n"})
    handle = await frozen(world)
    first = world.envelope(handle.id)
    assert (await world.client.submit(handle.id, first)).status == "pending"
    assert await has_no_plan(world, handle)
    held.let.set()
    await world.status(handle, 1, "pending")
    assert "1 of 2" in (await world.client.view(handle.id)).details
    assert world.sms.sent == []
    plan = world.outreaches.revision(handle.id, 1)
    assert plan is not None
    second = plan.proposal.decide("approve", "ben", datetime.now(UTC), prior=digest(first.document))
    assert (await world.client.submit(handle.id, envelope(world.ben, second))).status == "approved"
    await world.until(lambda: len(world.sms.sent) == 1)
