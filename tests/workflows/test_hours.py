"""Hours: whoever must not be disturbed now is told later, by waves of their own, each message once and none at night."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlmodel import col, select
from temporalio.client import WorkflowHandle

from tellfirst.contract import Stage
from tellfirst.domain.message import AnswerKind
from tellfirst.store.consents import Consents
from tellfirst.store.tables import RecipientRow, SendRow
from tests.world import World

HOUR = timedelta(hours=1)
TABLE = """
[[allowed]]
regions = ["*"]
from = "{opens}"
to = "{closes}"
source = "test"
checked_on = 2026-01-01
"""


def zone_at(hour: int) -> str:
    """Returns a zone without daylight saving in which it is some minutes past an hour of the day by now."""
    offset = (hour - datetime.now(UTC).hour) % 24
    offset = offset - 24 if offset > 12 else offset
    return f"Etc/GMT{'-' if offset > 0 else '+'}{abs(offset)}" if offset else "UTC"


def local(instant: datetime, zone: str) -> time:
    return instant.astimezone(ZoneInfo(zone)).time()


@pytest_asyncio.fixture(loop_scope="session")
async def open_8_to_20(world: World, tmp_path: Path) -> World:
    """Is an installation whose customers may be disturbed from 8 to 20 o'clock."""
    path = tmp_path / "hours.toml"
    path.write_text(TABLE.format(opens="08:00", closes="20:00"))
    await world.with_settings(hours=path)
    return world


def rows(world: World, outreach: str) -> list[RecipientRow]:
    with world.app.database.read() as session:
        query = select(RecipientRow).where(RecipientRow.outreach_id == outreach).order_by(col(RecipientRow.customer_id))
        return list(session.exec(query))


def sends(world: World, outreach: str) -> list[SendRow]:
    with world.app.database.read() as session:
        query = select(SendRow).where(SendRow.outreach_id == outreach).order_by(col(SendRow.customer_id))
        return list(session.exec(query))


async def approved(world: World, *subjects: str, **facts: Any) -> WorkflowHandle[Any, Any]:
    handle = await world.start(world.late(*subjects, **facts))
    await world.approve(handle.id)
    return handle


async def test_three_zones_are_three_waves_each_told_when_its_hours_open(open_8_to_20: World) -> None:
    world = open_8_to_20
    zones = {"c-1": zone_at(12), "c-2": zone_at(6), "c-3": zone_at(3)}
    for name, zone in zones.items():
        world.customer(name, timezone=zone, addresses={"sms": f"+1415000000{name[-1]}"})
    handle = await approved(world, "o-1", "o-2", "o-3")
    await world.until(lambda: len(world.sms.sent) == 1)
    assert [r.arm for r in rows(world, handle.id)] == ["treated", None, None]
    await world.pass_time(handle, hours=2, minutes=5)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert [r.arm for r in rows(world, handle.id)] == ["treated", "treated", None]
    await world.pass_time(handle, hours=3)
    await world.until(lambda: len(world.sms.sent) == 3)
    told = {r.customer_id: r.t0 for r in rows(world, handle.id)}
    assert len(set(told.values())) == 3
    for name in ("c-2", "c-3"):
        assert time(8) <= local(told[name], zones[name]) < time(8, 6), "as soon as the hour has come"
    for send in sends(world, handle.id):
        assert time(8) <= local(send.intent_at, zones[send.customer_id]) < time(20)
    # Nor may a provider's queue hand one over once the night has begun.
    assert {local(message.not_after, zones[message.customer]) for message in world.sms.sent} == {time(20)}
    world.contacts_known()
    result = await world.finish(handle)
    assert result.ending == "measured"


async def test_a_page_that_runs_into_the_night_is_finished_in_the_morning(open_8_to_20: World) -> None:
    """Drawn in time, two of three leave only when their hours are over."""
    world = open_8_to_20
    night = zone_at(22)
    for n in range(3):
        world.customer(f"c-{n}", timezone=zone_at(12), addresses={"sms": f"+1415000000{n}"})
    halt = asyncio.Event()
    world.sms.wait_after, world.sms.in_flight = (1, halt), 1
    handle = await approved(world, "o-0", "o-1", "o-2")
    await world.until(lambda: len(world.sms.sent) == 1 and world.sms.busy)
    world.customer("c-2", timezone=night, addresses={"sms": "+14150000002"})
    halt.set()
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == ["accepted", "accepted", "deferred"])
    assert {r.arm for r in rows(world, handle.id)} == {"treated"}
    await world.stage(handle, Stage.SENDING)
    events = len((await world.history(handle))["events"])
    await world.pass_time(handle, hours=11)
    await world.until(lambda: len(world.sms.sent) == 3)
    late = sends(world, handle.id)[2]
    assert time(8) <= local(late.intent_at, night) < time(8, 10)
    assert len((await world.history(handle))["events"]) < events + 30, "it waited by one timer"
    world.contacts_known()
    assert (await world.finish(handle)).accepted == 3


async def test_whoever_cannot_be_told_in_time_is_never_drawn(open_8_to_20: World) -> None:
    world = open_8_to_20
    world.override("late_delivery", {'after = "P2D"': 'after = "PT6H"'})
    world.customer("c-1", timezone=zone_at(12), addresses={"sms": "+14150000001"})
    world.customer("c-2", timezone=zone_at(21), addresses={"sms": "+14150000002"})
    handle = await approved(world, "o-1", "o-2")
    await world.until(lambda: len(world.sms.sent) == 1)
    assert [(r.arm, r.withheld) for r in rows(world, handle.id)] == [("treated", None), (None, "too_late")]
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"
    assert {m.address for m in world.sms.sent} == {"+14150000001"}


@pytest.mark.parametrize("how", ["abort", "cleared", "reject"])
async def test_whoever_waits_is_let_go_with_the_rest(open_8_to_20: World, how: str) -> None:
    world = open_8_to_20
    for n, hour in enumerate((12, 22)):
        world.customer(f"c-{n}", timezone=zone_at(hour), addresses={"sms": f"+1415000000{n}"})
    handle = await approved(world, "o-0", "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    if how == "abort":
        await world.client.abort(handle.id)
    elif how == "cleared":
        await world.client.tell(handle.id, "condition_cleared")
    else:
        answer = await world.client.submit(handle.id, world.envelope(handle.id, "reject"))
        assert answer.accepted
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"
    assert {m.address for m in world.sms.sent} == {"+14150000000"}
    assert [r.arm for r in rows(world, handle.id)] == ["treated", None]


async def test_a_pause_outlasts_the_hour_and_no_longer_wait_spins(open_8_to_20: World) -> None:
    world = open_8_to_20
    for n, hour in enumerate((12, 6)):
        world.customer(f"c-{n}", timezone=zone_at(hour), addresses={"sms": f"+1415000000{n}"})
    handle = await approved(world, "o-0", "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    events = len((await world.history(handle))["events"])
    await world.pass_time(handle, hours=4)
    assert len((await world.history(handle))["events"]) < events + 12
    assert len(world.sms.sent) == 1
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 2)


async def test_the_first_few_are_all_told_before_anybody_is_asked_about_the_rest(open_8_to_20: World) -> None:
    world = open_8_to_20
    world.override("late_delivery", {'expires_after = "PT24H"': 'expires_after = "PT24H"\ncanary = true'})
    world.customer("c-0", timezone=zone_at(6), addresses={"sms": "+14150000000"})
    for n in range(1, 4):
        world.customer(f"c-{n}", timezone=zone_at(12), addresses={"sms": f"+1415000000{n}"})
    handle = await approved(world, *(f"o-{n}" for n in range(4)))
    await world.until(lambda: (world.recipients.wave(handle.id, 1, end=1)).waiting == 1)
    await world.stage(handle, Stage.SENDING)
    assert not world.sms.sent
    await world.pass_time(handle, hours=2, minutes=5)
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert {m.address for m in world.sms.sent} == {"+14150000000"}


async def test_an_opt_out_is_obeyed_at_every_boundary(open_8_to_20: World) -> None:
    """Each of six customers opts out at another one; the two who do not are told, and nobody else."""
    world = open_8_to_20
    world.override("late_delivery", {})
    night, when = zone_at(22), {"7": zone_at(22)}
    for n in range(1, 9):
        addresses = {"sms": f"+1415000000{n}", "email": f"c{n}@example.org"}
        world.customer(f"c-{n}", timezone=when.get(str(n), zone_at(12)), addresses=addresses)

    def opts_out(n: int) -> None:
        Consents(world.app.database).opt_out([f"c-{n}"], channel="sms", at=datetime.now(UTC), source="test")

    def standing() -> dict[str, str]:
        return {s.customer_id: s.state for s in sends(world, handle.id)}

    world.sms.in_flight, halt = 1, asyncio.Event()
    world.sms.answers = [AnswerKind.ACCEPTED, AnswerKind.NOT_SENT]
    world.sms.wait_after = (1, halt)
    handle = await world.start(world.late(*(f"o-{n}" for n in range(1, 9))))
    await world.planned(handle.id)
    opts_out(1)  # after the plan
    world.controls.turn_on("pause-all", "", by="test", at=datetime.now(UTC))
    await world.approve(handle.id)
    await world.until(lambda: standing().get("c-2") == "planned")
    opts_out(2)  # after the approval
    world.controls.turn_off("pause-all", by="test", at=datetime.now(UTC))
    await world.pass_time(handle, seconds=31)
    await world.until(lambda: standing()["c-4"] == "intent")
    opts_out(5)  # between two micro-batches
    address = {"sms": "+14150000006", "email": "c6@example.org"}
    world.customer("c-6", timezone=night, addresses=address)
    halt.set()
    await world.until(lambda: standing()["c-4"] == "planned")
    opts_out(4)  # during the wait before it is tried again
    await world.until(lambda: standing()["c-6"] == "deferred")
    opts_out(6)  # while deferred
    assert rows(world, handle.id)[6].arm is None
    opts_out(7)  # while waiting for a slot
    await world.pass_time(handle, hours=12)
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"
    assert standing() == {f"c-{n}": "accepted" if n in (3, 8) else "withheld" for n in range(1, 9)}
    assert {m.address for m in world.sms.sent} == {"+14150000003", "+14150000008"}
    assert not world.email.sent
