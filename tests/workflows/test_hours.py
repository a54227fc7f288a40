"""Hours: whoever must not be disturbed now is told later, each message once and none at night."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlmodel import col, select
from temporalio.client import WorkflowHandle

from tellfirst.contract import Stage, send_queue
from tellfirst.domain.message import AnswerKind
from tellfirst.store.consents import Consents
from tellfirst.store.tables import RecipientRow, SendRow
from tests.workflows.test_canary import go_on
from tests.workflows.test_fallback import report
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
    assert (await world.finish(handle)).ending == "measured"
    assert len({m.send_id for m in world.sms.sent}) == len(world.sms.sent)


async def test_whoever_cannot_be_told_in_time_is_never_drawn(open_8_to_20: World) -> None:
    world = open_8_to_20
    world.override(
        "late_delivery", {'after = "P2D"': 'after = "PT8H"', 'expires_after = "PT24H"': 'expires_after = "PT5H"'}
    )
    world.customer("c-1", timezone=zone_at(12), addresses={"sms": "+14150000001"})
    world.customer("c-2", timezone=zone_at(21), addresses={"sms": "+14150000002"})
    handle = await approved(world, "o-1", "o-2")
    await world.until(lambda: len(world.sms.sent) == 1)
    assert [(r.arm, r.withheld) for r in rows(world, handle.id)] == [("treated", None), (None, "too_late")]
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"
    assert {m.address for m in world.sms.sent} == {"+14150000001"}


@pytest.mark.parametrize("how", ["abort", "condition_cleared"])
async def test_whoever_waits_is_let_go_with_the_rest(open_8_to_20: World, how: str) -> None:
    world = open_8_to_20
    for n, hour in enumerate((12, 22)):
        world.customer(f"c-{n}", timezone=zone_at(hour), addresses={"sms": f"+1415000000{n}"})
    handle = await approved(world, "o-0", "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.client.tell(handle.id, how)
    if how == "condition_cleared":
        await world.until(lambda: rows(world, handle.id)[1].withheld == "condition_cleared")
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


async def test_what_the_first_few_have_lost_does_not_wait_for_the_others_hours(open_8_to_20: World) -> None:
    world = open_8_to_20
    world.override("late_delivery", {'expires_after = "PT24H"': 'expires_after = "PT24H"\ncanary = true'})
    world.customer("c-0", timezone=zone_at(12), addresses={"sms": "+14150000000", "email": "c0@example.org"})
    world.customer("c-1", timezone=zone_at(22), addresses={"sms": "+14150000001"})
    world.sms.answers = [AnswerKind.PERMANENT]
    handle = await approved(world, "o-0", "o-1")
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert (await go_on(world, handle.id)).accepted
    await world.until(lambda: [m.address for m in world.email.sent] == ["c0@example.org"])
    assert not world.sms.sent
    assert rows(world, handle.id)[1].arm is None


async def test_an_opt_out_is_obeyed_at_every_boundary(open_8_to_20: World) -> None:
    """Each of six customers opts out at another one; the two who do not are told, and nobody else."""
    world = open_8_to_20
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
    await world.without(send_queue("sms"))
    await world.approve(handle.id)
    await world.until(lambda: rows(world, handle.id)[1].arm == "treated")
    opts_out(2)  # after the approval
    await world.rest()
    await world.work()
    await world.until(lambda: standing().get("c-4") == "intent")
    opts_out(5)  # between two micro-batches
    address = {"sms": "+14150000006", "email": "c6@example.org"}
    world.customer("c-6", timezone=night, addresses=address)
    halt.set()
    await world.until(lambda: standing().get("c-4") == "planned")
    opts_out(4)  # during the wait before it is tried again
    await world.until(lambda: standing().get("c-6") == "deferred")
    opts_out(6)  # while deferred
    assert rows(world, handle.id)[6].arm is None
    opts_out(7)  # while waiting for a slot
    await world.pass_time(handle, hours=12)
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"
    assert standing() == {f"c-{n}": "accepted" if n in (3, 8) else "withheld" for n in range(1, 9)}
    assert {m.address for m in world.sms.sent} == {"+14150000003", "+14150000008"}
    assert not world.email.sent


async def test_an_update_is_never_promised_for_the_night_nor_sent_in_it(open_8_to_20: World) -> None:
    """Their clock is at noon; the plan's update would fall due between ten and eleven in the evening."""
    world, zone = open_8_to_20, zone_at(12)
    world.override(
        "late_delivery",
        {
            'after = "P2D"': 'after = "PT10H"',
            'lead = "PT2H"': 'lead = "PT1H"',
            'expires_after = "PT24H"': 'expires_after = "PT5H"',
        },
    )
    world.customer("c-1", timezone=zone)
    handle = await approved(world, "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    [row] = rows(world, handle.id)
    promised = datetime.fromisoformat(row.promises["update-1"])
    assert local(promised, zone) == time(9)
    assert f"{promised.astimezone(ZoneInfo(zone)):%H:%M}".lstrip("0") in world.sms.sent[0].rendered.body
    await world.pass_time(handle, hours=11)
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == ["accepted", "deferred"])
    assert len(world.sms.sent) == 1
    await world.pass_time(handle, hours=11)
    await world.until(lambda: len(world.sms.sent) == 2)
    update = next(s for s in sends(world, handle.id) if s.step == "update-1")
    assert time(8) <= local(update.intent_at, zone) < time(9)
    world.contacts_known()
    assert (await world.finish(handle)).ending == "measured"


async def test_nobody_hears_of_two_things_within_an_hour_unless_one_is_urgent(world: World) -> None:
    world.customer("c-1")
    first = await approved(world, "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    second = await approved(world, "o-1", key=f"{world.key}-b")
    await world.stage(second, Stage.SENDING)
    assert "will be told" in (await world.client.view(second.id)).details
    urgent = world.late("o-1", key=f"{world.key}-c")
    world.override("late_delivery", {'urgency = "normal"': 'urgency = "urgent"'})
    third = await world.start(urgent)
    await world.approve(third.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert [rows(world, h.id)[0].arm for h in (first, second, third)] == ["treated", None, "treated"]
    await world.pass_time(second, minutes=70)
    await world.until(lambda: len(world.sms.sent) == 3)


async def test_a_text_that_arrives_while_the_next_channel_waits_is_not_followed_by_it(
    world: World, tmp_path: Path
) -> None:
    """Two at work are texted; both texts are reported lost, they leave for where it is night, and one arrives."""
    path, night = tmp_path / "hours.toml", zone_at(22)
    path.write_text(TABLE.format(opens="08:00", closes="20:00") + '[[business]]\nfrom = "08:00"\nto = "18:00"\n')
    await world.with_settings(hours=path)

    def at(zone: str) -> None:
        for n in (1, 2):
            addresses = {"sms": f"+1415000000{n}", "in_app": f"a{n}"}
            world.customer(f"c-{n}", timezone=zone, addresses=addresses, business=True)

    at(zone_at(12))
    world.sms.name = "twilio"
    handle = await approved(world, "o-1", "o-2")
    await world.until(lambda: len(world.sms.sent) == 2)
    at(night)
    for message in world.sms.sent:
        report(world, f"p-{message.send_id}", "undelivered", "30003")
    await world.pass_time(handle, minutes=16)
    await world.until(lambda: [s.state for s in sends(world, handle.id)].count("deferred") == 2)
    report(world, next(f"p-{m.send_id}" for m in world.sms.sent if m.customer == "c-1"), "delivered")
    await world.pass_time(handle, hours=11)
    await world.until(lambda: [m.customer for m in world.in_app.sent] == ["c-2"])
    await world.until(lambda: "deferred" not in [s.state for s in sends(world, handle.id)])
    assert [m.customer for m in world.in_app.sent] == ["c-2"]
    tally = world.sends.tally(handle.id)
    assert (tally.accepted, tally.withheld, tally.failed) == (2, 0, 0)


async def test_hours_that_the_carrier_keeps_are_waited_for(world: World) -> None:
    world.sms.answers = [AnswerKind.QUIET_HOURS]
    world.customer("c-1")
    handle = await approved(world, "o-1")
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == ["deferred"])
    assert not world.sms.sent
    await world.pass_time(handle, minutes=65)
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_promise_that_no_hour_is_left_for_is_told_to_its_owner(open_8_to_20: World) -> None:
    """They move to where it is night before the update can leave."""
    world = open_8_to_20
    world.override(
        "late_delivery",
        {
            'after = "P2D"': 'after = "PT10H"',
            'lead = "PT2H"': 'lead = "PT1H"',
            'expires = "PT24H"': 'expires = "PT1H"',
            'expires_after = "PT24H"': 'expires_after = "PT5H"',
        },
    )
    world.customer("c-1", timezone=zone_at(9))
    handle = await approved(world, "o-1")
    await world.until(lambda: len(world.sms.sent) == 1)
    assert rows(world, handle.id)[0].promises is None
    world.customer("c-1", timezone=zone_at(13))
    await world.pass_time(handle, hours=10)
    await world.until(lambda: [n for n in world.notices.of(handle.id) if "could not reach 1 recipient" in n.text])
    assert [s.reason for s in sends(world, handle.id) if s.step == "update-1"] == ["too_late"]
    assert len(world.sms.sent) == 1
