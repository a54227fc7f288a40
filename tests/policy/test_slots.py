"""Slots: told at once, looked at again on the grid, or too late."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.policy.hours import ALWAYS, Calendar, Span, opening
from tellfirst.policy.slots import APART, GRID, TOO_LATE, UNKNOWN_ZONE, slot

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERY_DAY = frozenset(range(7))


def calendar(opens: int, closes: int, zone: str = "UTC") -> Calendar:
    return Calendar(zones=(zone,), rules=((Span(days=EVERY_DAY, opens=opens, closes=closes),),))


def test_whoever_may_be_told_is_told_now() -> None:
    assert slot(ALWAYS, NOON, not_after=NOON + HOUR) == NOON
    assert slot(calendar(8 * 60, 20 * 60), NOON, not_after=NOON + HOUR) == NOON


def test_whoever_sleeps_is_looked_at_again_when_their_hours_open() -> None:
    late = NOON + 10 * HOUR
    assert slot(calendar(8 * 60, 20 * 60), late, not_after=late + 11 * HOUR) == NOON + 20 * HOUR
    assert slot(calendar(8 * 60 + 2, 20 * 60), late, not_after=late + 11 * HOUR) == NOON + 20 * HOUR + GRID
    assert slot(calendar(8 * 60 + 2, 8 * 60 + 4), late, not_after=late + 11 * HOUR) == NOON + timedelta(
        hours=20, minutes=2
    )


@pytest.mark.parametrize("not_after", [NOON, NOON - HOUR])
def test_nobody_is_drawn_when_it_is_too_late(not_after: datetime) -> None:
    assert slot(ALWAYS, NOON, not_after=not_after) == TOO_LATE


def test_an_hour_that_comes_too_late_and_a_zone_that_nobody_knows_are_said() -> None:
    assert slot(calendar(8 * 60, 9 * 60), NOON, not_after=NOON + 20 * HOUR) == TOO_LATE
    nowhere = calendar(0, 24 * 60).model_copy(update={"zones": ()})
    assert slot(nowhere, NOON, not_after=NOON + HOUR) == UNKNOWN_ZONE


def test_two_outreaches_are_an_hour_apart_and_then_the_hours_hold_again() -> None:
    last = NOON - timedelta(minutes=20)
    assert slot(ALWAYS, NOON, not_after=NOON + HOUR, last=last) == last + APART
    assert slot(ALWAYS, NOON, not_after=NOON + HOUR, last=NOON - APART) == NOON
    until_noon = calendar(8 * 60, 12 * 60 + 30)
    assert slot(until_noon, NOON, not_after=NOON + 30 * HOUR, last=last) == NOON + 20 * HOUR


@given(
    at=st.timedeltas(timedelta(0), timedelta(days=700)).map(lambda after: NOON + after),
    opens=st.integers(0, 1_438),
    length=st.integers(1, 1_440),
    late=st.timedeltas(timedelta(minutes=1), timedelta(days=3)),
    apart=st.none() | st.timedeltas(timedelta(0), timedelta(hours=2)),
)
def test_a_slot_is_open_in_time_and_never_now_by_mistake(
    at: datetime, opens: int, length: int, late: timedelta, apart: timedelta | None
) -> None:
    hours = calendar(opens, min(opens + length, 1_440))
    found = slot(hours, at, not_after=at + late, last=None if apart is None else at - apart)
    if isinstance(found, datetime):
        assert opening(hours, found) == found
        assert at <= found < at + late
        assert apart is None or found >= at - apart + APART
