"""The next opening is found in every zone, across both changes of the clocks, as minute-by-minute looking finds it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tellfirst.policy.hours import ALWAYS, HORIZON, Calendar, Span, closing, opening

NEW_YORK = "America/New_York"
ZONES = sorted(available_timezones())
MINUTE = timedelta(minutes=1)
EVERY_DAY = frozenset(range(7))


def rule(*stretches: tuple[str, str], days: frozenset[int] = EVERY_DAY) -> tuple[Span, ...]:
    def minutes(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    return tuple(Span(days=days, opens=minutes(a), closes=minutes(b)) for a, b in stretches)


def day_in(zone: str, *stretches: tuple[str, str]) -> Calendar:
    return Calendar(zones=(zone,), rules=(rule(*stretches),))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_open(calendar: Calendar, at: datetime) -> bool:
    """Judges one instant, as plainly as can be."""
    for zone in calendar.zones:
        local = at.astimezone(ZoneInfo(zone))
        since_midnight = local.hour * 60 + local.minute
        for spans in calendar.rules:
            if not [s for s in spans if local.weekday() in s.days and s.opens <= since_midnight < s.closes]:
                return False
    return True


def by_looking(calendar: Calendar, at: datetime) -> datetime | None:
    """Returns the next opening by looking at each minute."""
    if is_open(calendar, at):
        return at
    minute = at.replace(second=0, microsecond=0) + MINUTE
    while minute <= at + HORIZON:
        if is_open(calendar, minute):
            return minute
        minute += MINUTE
    return None


spans = st.builds(
    lambda days, a, b: Span(days=days, opens=min(a, b), closes=max(a, b) + 1),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1_439),
    st.integers(0, 1_439),
)
calendars = st.builds(
    Calendar,
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3).map(tuple),
    rules=st.lists(st.lists(spans, min_size=1, max_size=3).map(tuple), min_size=1, max_size=2).map(tuple),
)


def days(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last), timezones=st.just(UTC))


# Around both changes, in either half of the earth, a leap day, a day that was left out, and anywhere in between.
around = st.one_of(
    *(days(f"{day}T00:00", f"{day}T23:59") for day in ("2026-10-03", "2026-10-24", "2026-10-31")),
    *(days(f"{day}T00:00", f"{day}T23:59") for day in ("2027-03-13", "2027-03-27", "2027-04-03")),
    days("2028-02-28", "2028-03-01T23:59"),
    days("2011-12-28", "2012-01-02"),
    days("2026-01-01", "2028-01-01"),
)


@settings(max_examples=100, deadline=None)
@given(calendars, around)
@example(day_in(NEW_YORK, ("02:30", "02:45")), utc("2027-03-14T05:00"))
@example(day_in(NEW_YORK, ("01:30", "01:45")), utc("2026-11-01T05:50"))
@example(day_in("Australia/Lord_Howe", ("01:45", "02:15")), utc("2027-04-03T12:00"))
@example(
    Calendar(zones=("Pacific/Apia",), rules=(rule(("09:00", "10:00"), days=frozenset({4})),)), utc("2011-12-29T21:00")
)
@example(
    Calendar(zones=("Europe/Berlin",), rules=(rule(("09:00", "10:00"), days=frozenset({1})),)), utc("2028-02-28T23:00")
)
def test_it_is_what_looking_at_each_minute_finds(calendar: Calendar, at: datetime) -> None:
    assert opening(calendar, at) == by_looking(calendar, at)


@settings(max_examples=40, deadline=None)
@given(calendars, around)
@example(day_in(NEW_YORK, ("01:30", "02:30")), utc("2027-03-14T06:45"))
@example(day_in(NEW_YORK, ("00:30", "01:45")), utc("2026-11-01T05:40"))
@example(day_in("Europe/Berlin", ("09:00", "24:00")), utc("2026-11-22T12:00"))
def test_it_closes_when_looking_at_each_minute_says_so(calendar: Calendar, at: datetime) -> None:
    minutes = (at.replace(second=0, microsecond=0) + n * MINUTE for n in range(1, 24 * 60 + 1))
    assert closing(calendar, at) == next((one for one in (at, *minutes) if not is_open(calendar, one)), None)


def changes(zone: str) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """Returns on which days a zone changes its clocks within a year, from which offset to which."""
    found, here = [], ZoneInfo(zone)
    for n in range(366):
        day = utc("2026-07-01T00:00") + timedelta(days=n)
        before, after = day.astimezone(here).utcoffset(), (day + timedelta(days=1)).astimezone(here).utcoffset()
        if before is not None and after is not None and before != after:
            found.append((day, before, after))
    return tuple(found)


def test_every_change_of_every_zone_is_met() -> None:
    kinds = {change: zone for zone in ZONES for change in changes(zone)}
    assert len(kinds) > 20
    assert {after > before for _, before, after in kinds} == {True, False}
    for (day, _, _), zone in kinds.items():
        for opens in range(0, 24 * 60, 75):
            stretch = Span(days=EVERY_DAY, opens=opens, closes=opens + 20)
            calendar, at = Calendar(zones=(zone,), rules=((stretch,),)), day + timedelta(minutes=opens * 7 % 1_440)
            assert opening(calendar, at) == by_looking(calendar, at), (zone, at)


def test_in_every_zone_noon_is_noon_all_the_year() -> None:
    for zone in ZONES:
        calendar = day_in(zone, ("12:00", "12:01"))
        for month in range(1, 13):
            found = opening(calendar, datetime(2027, month, 27, 5, tzinfo=UTC))
            assert found is not None
            assert found.astimezone(ZoneInfo(zone)).strftime("%H:%M") == "12:00", zone


@pytest.mark.parametrize(
    ("asked", "told"), [("2027-01-15T12:00", "2027-01-15T20:00"), ("2027-07-15T12:00", "2027-07-15T19:00")]
)
def test_three_in_the_afternoon_is_another_instant_in_summer(asked: str, told: str) -> None:
    assert opening(day_in(NEW_YORK, ("15:00", "16:00")), utc(asked)) == utc(told)


def test_a_minute_that_the_clocks_skip_opens_where_they_go_on() -> None:
    # 02:00 becomes 03:00: half past two never was, and what is open until four opens at three.
    assert opening(day_in(NEW_YORK, ("02:30", "04:00")), utc("2027-03-14T06:00")) == utc("2027-03-14T07:00")
    assert opening(day_in(NEW_YORK, ("02:30", "02:45")), utc("2027-03-14T06:00")) == utc("2027-03-15T06:30")


def test_a_minute_that_comes_twice_opens_twice() -> None:
    # 02:00 becomes 01:00: half past one is at 05:30 UTC and again at 06:30.
    calendar = day_in(NEW_YORK, ("01:30", "01:40"))
    assert opening(calendar, utc("2026-11-01T05:00")) == utc("2026-11-01T05:30")
    assert opening(calendar, utc("2026-11-01T05:45")) == utc("2026-11-01T06:30")
    assert opening(calendar, utc("2026-11-01T06:45")) == utc("2026-11-02T06:30")


def test_a_stretch_that_the_clocks_reenter_opens_at_the_change() -> None:
    assert opening(day_in(NEW_YORK, ("00:00", "01:30")), utc("2026-11-01T05:45")) == utc("2026-11-01T06:00")


def test_what_is_deferred_before_midnight_leaves_in_the_morning() -> None:
    night = day_in(NEW_YORK, ("08:00", "22:00"))
    assert opening(night, utc("2026-11-24T04:00")) == utc("2026-11-24T13:00"), "23:00 to 08:00 of the next day"
    assert opening(night, utc("2026-11-24T12:59:59")) == utc("2026-11-24T13:00")
    assert opening(night, utc("2026-11-24T13:00")) == utc("2026-11-24T13:00")
    assert opening(night, utc("2026-11-25T03:00")) == utc("2026-11-25T13:00"), "22:00 is quiet already"


def test_the_weekday_is_that_of_the_customer() -> None:
    # Sunday has begun in Auckland while it is Saturday in Greenwich.
    sunday = Calendar(zones=("Pacific/Auckland",), rules=(rule(("12:00", "20:00"), days=frozenset({6})),))
    assert opening(sunday, utc("2026-11-21T20:00")) == utc("2026-11-21T23:00")


def test_it_is_open_in_all_zones_and_by_all_rules() -> None:
    both = Calendar(zones=(NEW_YORK, "America/Chicago"), rules=(rule(("09:00", "20:00")), rule(("00:00", "12:00"))))
    assert opening(both, utc("2026-11-24T05:00")) == utc("2026-11-24T15:00"), "nine in Chicago"
    assert opening(both, utc("2026-11-24T17:00")) == utc("2026-11-25T15:00"), "noon in New York"


def test_what_never_opens_is_not_waited_for() -> None:
    noon, evening = rule(("12:00", "13:00")), rule(("18:00", "19:00"))
    assert opening(Calendar(zones=(NEW_YORK,), rules=(noon, evening)), utc("2026-11-24T05:00")) is None
    assert opening(Calendar(zones=(), rules=(noon,)), utc("2026-11-24T17:30")) is None, "an unknown zone holds"
    assert opening(ALWAYS, utc("2026-11-24T05:00:01")) == utc("2026-11-24T05:00:01")
