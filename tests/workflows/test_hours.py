"""Hours: whoever must not be disturbed now is told later, by waves of their own, each message once and none at night."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlmodel import col, select
from temporalio.client import WorkflowHandle

from tellfirst.contract import Stage
from tellfirst.store.customers import CustomerRecord
from tellfirst.store.preferences import Preference, Preferences
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
    world.override("late_delivery", {'after = "P2D"': 'after = "PT8H"', 'lead = "PT4H"': 'lead = "PT4H"'})
    await world.rest()
    await world.__aexit__()
