"""The life of an outreach, days in seconds, on the real server; what it costs in history; and how an incident grows."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tellfirst.contract import Stage
from tellfirst.detectors.finding import Finding
from tellfirst.domain.condition import ADMITTED, Audience, Condition
from tellfirst.store.admissions import Admissions
from tests.figures import Figure
from tests.world import World

LARGEST_HISTORY = 55  # 50 where nothing is late; three more for a workflow task of its own
LARGEST_BYTES = 11 * 1024
MOVED_CLOCK = (
    "EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED",
    "EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED",
)
"""What only a server with a virtual clock adds."""


async def test_one_recipient_from_condition_to_recorded_outcome(world: World, figure: Figure) -> None:
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    answer = await world.approve(handle.id)
    assert answer.accepted, answer
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.pass_time(handle, days=2, hours=1)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert (await world.finish(handle)).ending == "measured"
    kinds = Counter(event["eventType"] for event in (await world.history(handle))["events"])
    own = sum(count for kind, count in kinds.items() if kind not in MOVED_CLOCK)
    size = (await handle.describe()).raw_description.workflow_execution_info.history_size_bytes
    figure(f"life: {own} history events ({kinds.total() - own} more of the moved clock), {size} bytes")
    assert own <= LARGEST_HISTORY
    assert size <= LARGEST_BYTES


def admit(world: World, subjects: Sequence[str]) -> Condition:
    """Admits subjects to the condition of this test, as a sweep does, and returns it."""
    assert world.app is not None
    now = datetime.now(UTC)
    findings = [
        Finding(
            subject_key=name,
            customer_ref=name.replace("o-", "c-"),
            since=now - timedelta(days=2),
            facts={"order_id": name, "promised_at": "2026-11-20"},
        )
        for name in subjects
    ]
    ledger = Admissions(world.app.database)
    ledger.admit("late_delivery", {world.key: findings}, at=now, facts={}, parameters={})
    for condition, _ in ledger.waiting("late_delivery"):
        if condition.key == world.key:
            return condition
    return Condition(trigger="late_delivery", key=world.key, detected_at=now, audience=Audience(query=ADMITTED))


async def test_whom_an_incident_reaches_later_is_told_by_a_revision_of_their_own(world: World) -> None:
    for name in ("c-1", "c-2", "c-3"):
        world.customer(name, addresses={"sms": f"+1415000000{name[-1]}"})
    handle = await world.start(admit(world, ["o-1", "o-2"]))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    admit(world, ["o-2", "o-3"])
    await world.client.tell(handle.id, "condition_changed")
    assert (await world.approve(handle.id, revision=2)).accepted
    await world.until(lambda: len(world.sms.sent) == 3)
    assert world.sms.sent[-1].address == "+14150000003"
    assert [r.recipients for r in (await world.client.view(handle.id)).revisions] == [2, 1]


async def test_what_recurs_is_told_by_its_own_outreach_alone(world: World) -> None:
    for name in ("c-1", "c-2"):
        world.customer(name, addresses={"sms": f"+1415000000{name[-1]}"})
    first = await world.start(admit(world, ["o-1"]))
    await world.approve(first.id)
    await world.stage(first, Stage.AWAITING_WINDOW)
    ledger = Admissions(world.app.database)
    ledger.observe("late_delivery", [], at=datetime.now(UTC), hold_down=timedelta())
    ledger.observe("late_delivery", [], at=datetime.now(UTC) + timedelta(hours=1), hold_down=timedelta())
    again = admit(world, ["o-1", "o-2"])
    assert again.episode == 2
    await world.client.tell(first.id, "condition_changed")
    second = await world.start(again)
    await world.approve(second.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    await world.pass_time(second, minutes=65)  # nobody hears of two things within an hour
    await world.until(lambda: len(world.sms.sent) == 3)
    assert [r.recipients for r in (await world.client.view(first.id)).revisions] == [1], "the new ones are not its own"
    assert [r.recipients for r in (await world.client.view(second.id)).revisions] == [2]


async def test_a_look_that_takes_more_than_a_moment_gets_an_activitys_time(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    file = world.folder / "tellfirst.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TRIGGER no BEFORE UPDATE ON outreaches BEGIN SELECT RAISE(ABORT, 'no'); END")
    await world.client.tell(handle.id, "condition_cleared")

    async with asyncio.timeout(30):
        while not (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.02)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TRIGGER no")
    await world.until(lambda: len(world.sms.sent) == 2)
    assert "arrived" in world.sms.sent[1].rendered.body
