"""The table of hours, and what it makes of a recipient: the shipped rows, business hours, wishes, playbooks."""

import random
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tellfirst.domain.message import Channel
from tellfirst.errors import SettingsError
from tellfirst.policy.hours import ALWAYS, Calendar, opening
from tellfirst.policy.quiet import RINGING, SHIPPED, WEEK, Hours, HoursTable, Timing, calendar_for
from tellfirst.policy.zones import NOWHERE, Zones, zones_of
from tests.figures import Figure
from tests.world import OPEN_HOURS

TABLE = HoursTable.load()
PLAIN = Timing()
CASES = 10_000


def in_state(state: str, channel: Channel = "sms", **more: Any) -> Calendar:
    return calendar_for(TABLE, PLAIN, channel=channel, zones=zones_of(region=state), **more)


def hours_of(calendar: Calendar, day: str) -> str:
    """Returns the hours of one local day at which a calendar of one zone is open, such as 09:00-18:00."""
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(calendar.zones[0]))
    minutes = [local + timedelta(minutes=n) for n in range(24 * 60)]
    disturbed = [m for m in minutes if opening(calendar, m.astimezone(UTC)) == m]
    return f"{disturbed[0]:%H:%M}-{disturbed[-1] + timedelta(minutes=1):%H:%M}" if disturbed else "never"


@pytest.mark.parametrize(
    ("region", "friday", "saturday", "sunday"),
    [
        ("US-NY", "08:00-21:00", "08:00-21:00", "08:00-21:00"),
        ("US-NJ", "08:00-20:00", "08:00-20:00", "08:00-20:00"),
        ("US-CT", "09:00-20:00", "09:00-20:00", "09:00-20:00"),
        ("US-RI", "09:00-18:00", "10:00-17:00", "10:00-17:00"),
        ("US-WA", "09:00-20:00", "09:00-20:00", "12:00-20:00"),
        ("DE", "09:00-20:00", "09:00-20:00", "12:00-20:00"),
        ("DE-BY", "09:00-20:00", "09:00-20:00", "12:00-20:00"),
    ],
)
def test_the_shipped_hours(region: str, friday: str, saturday: str, sunday: str) -> None:
    for channel in ("sms", "voice"):
        told = [hours_of(in_state(region, channel), f"2026-11-{day}") for day in (20, 21, 22)]
        assert told == [friday, saturday, sunday]


def test_texas_is_late_on_sunday() -> None:
    # El Paso keeps another time than Austin: nine there is ten here.
    assert [hours_of(in_state("US-TX"), f"2026-11-{day}") for day in (21, 22)] == ["10:00-21:00", "13:00-21:00"]


def test_every_row_says_where_it_is_from() -> None:
    for row in TABLE.allowed:
        assert row.source
        assert row.checked_on.year >= 2026
    states = [region for row in TABLE.allowed for region in row.regions if region.startswith("US-")]
    assert {f"US-{s}" for s in ("AL", "IL", "KS", "KY", "LA", "WA")}.isdisjoint(states), (
        "nobody knows: the careful ones"
    )


def test_without_a_zone_what_rings_is_held_and_what_waits_is_not() -> None:
    for channel in ("sms", "whatsapp", "voice", "push", "person", "email", "in_app"):
        held = calendar_for(TABLE, PLAIN, channel=channel, zones=NOWHERE, business=True)
        assert (opening(held, datetime(2026, 11, 24, 17, tzinfo=UTC)) is None) == (channel in RINGING)


def test_mail_is_never_quiet_but_for_business() -> None:
    assert in_state("US-NY", "email", quiet=(0, 600)) == ALWAYS == in_state("US-NY", "in_app")
    for channel in ("email", "in_app", "sms", "voice"):
        at_work = in_state("US-NY", channel, business=True)
        assert [hours_of(at_work, f"2026-11-{day}") for day in (20, 21)] == ["09:00-17:00", "never"]


def test_what_the_customer_chose_may_run_past_midnight() -> None:
    night = in_state("US-NY", quiet=(21 * 60, 9 * 60 + 30))
    assert hours_of(night, "2026-11-20") == "09:30-21:00"
    siesta = in_state("US-NY", quiet=(13 * 60, 15 * 60))
    assert opening(siesta, datetime(2026, 11, 20, 18, tzinfo=UTC)) == datetime(2026, 11, 20, 20, tzinfo=UTC)
    assert in_state("US-NY", quiet=(0, 0)) == in_state("US-NY")


def low(*hours: dict[str, Any]) -> Timing:
    return Timing(low_engagement=tuple(Hours.model_validate(one) for one in hours))


def test_low_engagement_holds_every_channel_on_its_days() -> None:
    timing = low({"days": ["fri"], "from": "18:00", "to": "10:00"})
    for channel in ("sms", "email"):
        zones = zones_of(region="US-NY")
        calendar = calendar_for(TABLE, timing, channel=channel, zones=zones)
        assert opening(calendar, datetime(2026, 11, 20, 23, 30, tzinfo=UTC)) == datetime(2026, 11, 21, 15, tzinfo=UTC)


def test_urgent_ones_ignore_hours_and_danger_ignores_wishes() -> None:
    zones, night = zones_of(region="US-NY"), datetime(2026, 11, 20, 7, tzinfo=UTC)

    def at_night(timing: Timing, quiet: tuple[int, int] | None = None) -> bool:
        calendar = calendar_for(TABLE, timing, channel="sms", zones=zones, business=True, quiet=quiet)
        return opening(calendar, night) == night

    assert not at_night(PLAIN)
    assert at_night(Timing(ignores_hours=True))
    assert not at_night(Timing(ignores_hours=True), (22 * 60, 8 * 60))
    assert at_night(Timing(ignores_hours=True, ignores_customer=True), (22 * 60, 8 * 60))
    assert calendar_for(TABLE, Timing(ignores_hours=True), channel="sms", zones=NOWHERE) == ALWAYS


def test_a_table_without_rows_holds_nobody() -> None:
    table = HoursTable.load(OPEN_HOURS)
    assert calendar_for(table, PLAIN, channel="voice", zones=NOWHERE, business=True) == ALWAYS


TOML = '[[allowed]]\nregions = ["*"]\nfrom = "08:00"\nto = "20:00"\nsource = "x"\nchecked_on = 2026-01-01\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "allowed: Field required"),
        ("allowed = 3", "allowed: "),
        ("allowed = ", "not TOML"),
        (TOML.replace("*", "DE"), "no row for calls in region '*'"),
        (TOML + 'channels = ["calls"]\n', "no row for texts"),
        (TOML.replace("08:00", "8"), "09:30"),
        (TOML.replace('source = "x"\n', ""), "allowed.0.source"),
        (TOML + "colour = 1\n", "allowed.0.colour"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "hours.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        HoursTable.load(path)
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)
    with pytest.raises(SettingsError):
        HoursTable.load(tmp_path / "none.toml")


# -- ten thousand recipients, judged by another reading of the same table


def within(row: dict[str, Any], local: datetime) -> bool:
    """Returns whether a local instant lies in a stretch, which may run past midnight."""
    clock, today, yesterday = f"{local:%H:%M}", WEEK[local.weekday()], WEEK[local.weekday() - 1]
    days = row.get("days", WEEK)
    if row["from"] <= row["to"]:
        return today in days and row["from"] <= clock < row["to"]
    return (today in days and clock >= row["from"]) or (yesterday in days and clock < row["to"])


def violation(raw: dict[str, Any], case: dict[str, Any], zones: Zones, at: datetime) -> str:
    """Returns which hour a message at an instant disturbs, by the raw table; empty when none."""
    rings, timing = case["channel"] not in ("email", "in_app"), case["timing"]
    if not zones.names:
        wishes = case["quiet"] and not timing.get("ignores_customer")
        return "no zone" if rings and (wishes or not timing.get("ignores_hours")) else ""
    for zone in zones.names:
        local = at.astimezone(ZoneInfo(zone))
        if rings and not timing.get("ignores_hours"):
            own = [r for r in raw["allowed"] if zones.region in r["regions"]]
            country = [r for r in raw["allowed"] if zones.region[:2] in r["regions"]]
            rows = own or country or [r for r in raw["allowed"] if "*" in r["regions"]]
            if not any(within(row, local) for row in rows):
                return f"quiet in {zones.region}"
        if not timing.get("ignores_hours"):
            if case["business"] and not any(within(row, local) for row in raw["business"]):
                return "not at work"
            if any(within(row, local) for row in timing.get("low", ())):
                return "low engagement"
        if rings and case["quiet"] and not timing.get("ignores_customer"):
            a, b = case["quiet"]
            if a != b and within({"from": f"{a // 60:02}:{a % 60:02}", "to": f"{b // 60:02}:{b % 60:02}"}, local):
                return "their own quiet hours"
    return ""


def any_case(chance: random.Random, zones: list[str], regions: list[str]) -> dict[str, Any]:
    def clock() -> str:
        return f"{chance.randrange(24):02}:{chance.choice(('00', '30'))}"

    low = {"days": chance.sample(WEEK, chance.randint(1, 7)), "from": clock(), "to": clock()}
    if low["from"] == low["to"]:
        low["to"] = "24:00"
    return {
        "stated": chance.choice(zones) if chance.random() < 0.4 else None,
        "region": chance.choice([*regions, "DE", "FR-75", "IN", "BR", "AU", "US"]) if chance.random() < 0.5 else None,
        "phone": f"+1{chance.choice((850, 212, 605, 907, 416, 415))}5550100" if chance.random() < 0.6 else None,
        "channel": chance.choice(("sms", "whatsapp", "voice", "push", "person", "email", "in_app")),
        "business": chance.random() < 0.2,
        "quiet": (chance.randrange(1_440), chance.randrange(1_440)) if chance.random() < 0.3 else None,
        "timing": chance.choice(
            ({}, {}, {"low": [low]}, {"ignores_hours": True}, {"ignores_hours": True, "ignores_customer": True})
        ),
        # Half of them around a change of the clocks.
        "at": datetime(2026, 11, 1, tzinfo=UTC)
        + timedelta(days=chance.choice((0, 133, 147, 237, 300)), minutes=chance.randrange(-1_500, 2_900)),
        "expires": timedelta(minutes=chance.randrange(30, 4_000)),
        "late": [timedelta(minutes=chance.expovariate(1 / 40)) for _ in range(40)],
    }


def test_ten_thousand_wait_for_their_hour_and_none_is_lost(figure: Figure) -> None:
    chance, raw = random.Random(4), tomllib.loads(SHIPPED.read_text())
    zones = sorted(available_timezones())
    regions = sorted({r for row in raw["allowed"] for r in row["regions"]} - {"*"})
    became: Counter[str] = Counter()
    deferred = 0
    for _ in range(CASES):
        case = any_case(chance, zones, regions)
        where = zones_of(stated=case["stated"], region=case["region"], phone=case["phone"])
        timing = Timing(
            low_engagement=tuple(Hours.model_validate(one) for one in case["timing"].get("low", ())),
            ignores_hours=case["timing"].get("ignores_hours", False),
            ignores_customer=case["timing"].get("ignores_customer", False),
        )
        calendar = calendar_for(
            TABLE, timing, channel=case["channel"], zones=where, business=case["business"], quiet=case["quiet"]
        )
        now, not_after = case["at"], case["at"] + case["expires"]
        ending, turns = "", 0
        for late in case["late"]:
            opens = opening(calendar, now)
            if opens is None or opens >= not_after:
                # It is told as what it is, and only when no earlier instant would have done.
                ending = "no hour in sight" if opens is None else "too late"
                step = max((not_after - now) / 50, timedelta(minutes=1))
                missed = [
                    m for n in range(50) if (m := now + n * step) < not_after and not violation(raw, case, where, m)
                ]
                assert not missed, (case, missed)
                break
            if opens == now:
                assert not violation(raw, case, where, now), (case, now)
                ending = "sent"
                break
            # Its page leaves later than its slot: the gate asks again, and may defer it again.
            now, turns = opens + late, turns + 1
        assert ending, "deferred for ever"
        became[ending] += 1
        deferred += turns > 0
    assert min(became["sent"], became["too late"], became["no hour in sight"], deferred) > CASES // 100, became
    told = ", ".join(f"{count:,} {ending}" for ending, count in became.most_common())
    figure(f"quiet hours: {CASES:,} random recipients, {deferred:,} deferred; {told}; 0 violations, 0 lost")
