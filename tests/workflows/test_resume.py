"""What is held goes on where it stood: everything by two signatures, one outreach by a word, each message only if true.

`TELLFIRST_RECORD=1 pytest tests/workflows/test_resume.py -k ending` records the histories for tests/replay.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from tellfirst import contract
from tellfirst.contract import DecisionAnswer, Stage
from tellfirst.domain.message import SendState
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import decide
from tellfirst.store.matters import Matters
from tests.signing.make import envelope
from tests.workflows.test_sending import people, states
from tests.world import World


class Pause:
    """Is a pause of everything in a world, and how Ana and Ben end it."""

    def __init__(self, world: World, name: str = "") -> None:
        self.world = world
        self.name = name or f"p-{world.key}"
        self.about = contract.resume_id(self.name)
        world.controls.pause_all(self.name, by="ana", at=datetime.now(UTC))

    async def opened(self) -> None:
        """Asks that it ends, and waits until that can be signed."""
        with self.world.env.with_time_skipping_disabled():
            await self.world.client.resume_all(self.name)
        await self.world.until(lambda: (found := self.matters.get(self.about)) is not None and not found.closed_at)

    @property
    def matters(self) -> Matters:
        assert self.world.app is not None
        return Matters(self.world.app.database)

    def signed(self, name: str, choice: Choice = "approve") -> contract.DecisionEnvelope:
        """Returns a signature beside the first one that stands."""
        record = self.matters.get(self.about)
        assert record is not None
        given = [one.envelope["document"] for one in self.world.decisions.approvals(self.about) if one.envelope]
        first = next((d for d in given if isinstance(d, dict) and d["nonce"] == record.proposal.nonce), None)
        prior = digest(first) if first is not None and choice == "approve" else ""
        decided = decide(record.proposal, choice, name, datetime.now(UTC), "because", prior)
        return envelope(getattr(self.world, name), decided.document())

    async def sign(self, name: str, choice: Choice = "approve") -> DecisionAnswer:
        return await self.world.client.submit(self.about, self.signed(name, choice))

    async def over(self) -> None:
        """Ends it by both."""
        await self.opened()
        assert (await self.sign("ana")).status == "pending"
        assert (await self.sign("ben")).status == "approved"

    async def ending(self) -> str:
        handle = self.world.env.client.get_workflow_handle(self.about, result_type=str)
        result: str = await handle.result()
        return result


async def approved(pause: Pause) -> None:
    await pause.over()


async def rejected(pause: Pause) -> None:
    await pause.opened()
    assert (await pause.sign("ana")).accepted
    assert (await pause.sign("ben", "reject")).accepted


async def expired(pause: Pause) -> None:
    await pause.opened()
    assert (await pause.sign("ana")).accepted
    await pause.world.env.fast_forward(pause.world.env.client.get_workflow_handle(pause.about))


async def refused(pause: Pause) -> None:
    pause.world.controls.pause_all("another", by="ben", at=datetime.now(UTC))
    await pause.world.client.resume_all(pause.name)


STORIES: dict[str, tuple[Callable[[Pause], Awaitable[None]], str, bool]] = {
    "approved": (approved, "approved", False),
    "rejected": (rejected, "rejected: because", True),
    "expired": (expired, "expired", True),
    "refused": (refused, "refused: that pause is not on", True),
}


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_an_ending(world: World, name: str) -> None:
    story, ending, paused = STORIES[name]
    pause = Pause(world)
    await story(pause)
    assert await pause.ending() == ending
    assert (world.controls.pause() is not None) is paused
    await world.keep_history(pause.about, f"resume/{name}")


async def test_what_lapsed_is_opened_anew_and_signed_by_both(world: World) -> None:
    pause = Pause(world)
    await expired(pause)
    assert await pause.ending() == "expired"
    await pause.opened()
    stale = pause.signed("ana")
    assert (await world.client.submit(pause.about, stale)).status == "pending"
    assert world.controls.pause() is not None
    assert (await pause.sign("ben")).status == "approved"
    assert world.controls.on() == []


async def test_what_no_signature_stands_behind_ends_nothing(world: World) -> None:
    """Whoever may signal a workflow is not yet one who may resume."""
    pause = Pause(world)
    await pause.opened()
    handle = world.env.client.get_workflow_handle(pause.about)
    good = pause.signed("ana")
    forged = good.model_copy(update={"document": {**good.document, "approver": "ben"}})
    for raw in ({"paused": False}, [], "resume", None, forged.model_dump(mode="json")):
        await handle.signal(contract.DECIDE, raw)
    await world.until(lambda: len(world.decisions.received(pause.about)) == 5)
    assert not any(one.accepted for one in world.decisions.received(pause.about))
    # A good one counts as a signal too, and with no worker alive.
    await world.rest()
    await handle.signal(contract.DECIDE, good)
    await world.work()
    await world.until(lambda: any(one.accepted for one in world.decisions.received(pause.about)))
    assert world.controls.pause() is not None
    assert (await pause.sign("ben")).status == "approved"


async def test_it_shows_for_whom_it_waits(world: World) -> None:
    pause = Pause(world)
    await pause.opened()
    handle = world.env.client.get_workflow_handle(pause.about)

    async def shown() -> tuple[object, object]:
        attributes = (await handle.describe()).typed_search_attributes
        return attributes.get(contract.STAGE), attributes.get(contract.WAITING_ON)

    roles = "Incident lead and Service lead and Duty manager"
    async with asyncio.timeout(30):
        while await shown() != (Stage.AWAITING_APPROVAL, roles):
            await asyncio.sleep(0.05)
    await world.pass_time(handle, minutes=31)
    assert await shown() == (Stage.APPROVAL_OVERDUE, roles)


async def test_nobody_is_reminded_of_a_pause_that_another_has_replaced(world: World) -> None:
    first = Pause(world)
    await first.opened()
    again = Pause(world, f"p2-{world.key}")
    handle = world.env.client.get_workflow_handle(first.about)
    await world.pass_time(handle, minutes=31)
    assert await handle.result() == "expired"
    assert world.notices.of(first.about) == []
    assert world.escalations.open() == []
    await again.opened()
    await world.pass_time(world.env.client.get_workflow_handle(again.about), minutes=11)
    await world.until(lambda: world.notices.of(again.about))


async def test_after_two_signatures_the_rest_leaves_once(world: World) -> None:
    world.sms.in_flight = 1
    gate = asyncio.Event()
    world.sms.wait_after = (5, gate)
    handle = await world.start(world.late(*people(world, 30)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 5 and world.sms.busy)
    pause = Pause(world)
    gate.set()
    await world.until(lambda: len(world.sms.sent) == 6)
    await world.pass_time(handle, minutes=2)
    assert len(world.sms.sent) == 6, "only what was under way"
    await pause.over()
    await world.pass_time(handle, minutes=1)
    await world.until(lambda: len(world.sms.sent) == 30)
    assert len({m.address for m in world.sms.sent}) == 30


async def held(world: World) -> contract.Condition:
    world.sms.in_flight = 1
    return world.late(*people(world, 8))


async def test_what_was_held_leaves_after_the_resume_of_its_outreach(world: World) -> None:
    """As any client of Temporal says it: a signal."""
    gate = asyncio.Event()
    world.sms.wait_after = (2, gate)
    handle = await world.start(await held(world))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2 and world.sms.busy)
    raw = world.env.client.get_workflow_handle(handle.id)
    await raw.signal(contract.PAUSE, {"event_id": "e-1", "by": "ana", "paused": True})
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    gate.set()
    await world.stage(handle, Stage.PAUSED)
    await world.until(lambda: states(world, handle.id) == {"accepted": 3, "planned": 5})
    await world.pass_time(handle, hours=1)
    assert len(world.sms.sent) == 3
    await raw.signal(contract.PAUSE, {"event_id": "e-2", "by": "ana", "paused": False})
    await world.until(lambda: states(world, handle.id) == {"accepted": 8})
    assert len({m.address for m in world.sms.sent}) == 8


async def test_what_became_too_late_while_it_was_held_is_withheld(world: World) -> None:
    gate = asyncio.Event()
    world.sms.wait_after = (2, gate)
    handle = await world.start(await held(world))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2 and world.sms.busy)
    await world.client.pause(handle.id, paused=True)
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    gate.set()
    await world.stage(handle, Stage.PAUSED)
    await world.until(lambda: states(world, handle.id).get("accepted") == 3)
    record = world.outreaches.revision(handle.id, 1)
    assert record is not None
    beyond = record.plan.initial.not_after - record.plan.planned_at
    await world.pass_time(handle, seconds=beyond.total_seconds() + 60)
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: states(world, handle.id).get("withheld") == 5)
    assert {s.reason for s in world.sends.states(handle.id) if s.state is SendState.WITHHELD} == {"too_late"}


async def test_what_is_no_longer_true_after_a_pause_is_not_sent(world: World) -> None:
    gate = asyncio.Event()
    world.sms.wait_after = (2, gate)
    handle = await world.start(await held(world))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2 and world.sms.busy)
    await world.client.pause(handle.id, paused=True)
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    gate.set()
    await world.stage(handle, Stage.PAUSED)
    await world.until(lambda: states(world, handle.id).get("accepted") == 3)
    await world.client.tell(handle.id, "condition_cleared")
    await world.client.pause(handle.id, paused=False)
    initial = [m for m in world.sms.sent if "arrived" not in m.rendered.body]
    await world.until(lambda: states(world, handle.id).get("withheld", 0) >= 5)
    assert len(initial) == 3
    reasons = {s.reason for s in world.sends.states(handle.id) if s.state is SendState.WITHHELD}
    assert reasons == {"condition_cleared"}
