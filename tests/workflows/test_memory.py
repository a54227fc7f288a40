"""Memory: what a worker holds while it plans and sends does not depend on how many are told."""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.contract import Stage
from tellfirst.detectors.finding import Finding
from tellfirst.domain.condition import ADMITTED, Audience, Condition
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.store.admissions import Admissions
from tellfirst.store.customers import CustomerRecord
from tests.figures import Figure
from tests.world import FakeProvider, World

FEW = 2_500
MANY = int(os.environ.get("TELLFIRST_TEST_AUDIENCE", "7500"))
SENDS = "TELLFIRST_TEST_AUDIENCE" in os.environ
"""Whoever names a size has all of them told too, which takes a minute for 10,000; else they are planned for alone."""
PAGE = 250
ROOM = 3_000_000
"""Bytes: rows that are read 2,000 at a time are not all of one size, and the list of pages grows with the audience."""
WHOLE = {'expires_after = "PT24H"': 'expires_after = "PT24H"\ntripwire = 10_000_000'}


class Forgetful(FakeProvider):
    """Accepts everything and keeps nothing, so that what it holds is not taken for ours."""

    def __init__(self) -> None:
        super().__init__("sms")
        self.accepted = 0

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        self.accepted += len(batch)
        return [Answer(send_id=m.send_id, kind=AnswerKind.ACCEPTED, provider_id=f"p-{m.send_id}") for m in batch]


def fill(world: World, key: str, count: int) -> None:
    """Keeps customers, and what a sweep found of them."""
    assert world.app is not None
    now, ledger = datetime.now(UTC), Admissions(world.app.database)
    for first in range(0, count, 1_000):
        some = range(first, min(first + 1_000, count))
        people = [CustomerRecord(id=f"{key}-{n}", addresses={"sms": f"+1415{n:07d}"}) for n in some]
        world.customers.save(people, now=now, source="test")
        findings = [
            Finding(
                subject_key=f"{key}-{n}",
                customer_ref=f"{key}-{n}",
                since=now - timedelta(days=1),
                facts={"order_id": f"o-{n}", "promised_at": "2026-11-20"},
            )
            for n in some
        ]
        ledger.admit("late_delivery", {key: findings}, at=now, facts={}, parameters={})


@pytest.fixture
def traced() -> Iterator[None]:
    """Traces allocations until the workers have stopped: to stop while threads allocate can end the process."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")  # these come before those of the signature, and end after them
async def test_memory_does_not_grow_with_the_audience(world: World, figure: Figure) -> None:
    world.sms = provider = Forgetful()
    world.override("late_delivery", WHOLE)
    await world.with_settings(page_size=PAGE)
    peaks = {}
    for count in (PAGE, FEW, MANY):  # the first has everything loaded that is loaded once
        key, told = f"{world.key}-{count}", provider.accepted
        await asyncio.to_thread(fill, world, key, count)
        gc.collect()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        condition = Condition(
            trigger="late_delivery", key=key, detected_at=datetime.now(UTC), audience=Audience(query=ADMITTED)
        )
        handle = await world.start(condition)
        await world.until(lambda id_=handle.id: world.outreaches.revision(id_, 1) is not None, seconds=60 + count / 50)
        await world.stage(handle, Stage.AWAITING_APPROVAL)
        if SENDS:
            await world.approve(handle.id)
            await world.until(lambda told=told, count=count: provider.accepted - told == count, seconds=60 + count / 50)
        peaks[count] = tracemalloc.get_traced_memory()[1] - before
        await handle.terminate("it was measured")
    work, few, many = "plan and send" if SENDS else "plan", peaks[FEW] / 1e6, peaks[MANY] / 1e6
    figure(f"most that a worker allocates to {work}: {few:.1f} MB for {FEW:,} recipients, {many:.1f} MB for {MANY:,}")
    assert peaks[MANY] - peaks[FEW] < ROOM
