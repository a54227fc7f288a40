"""Promises of a recipient: the plan's instant where their hours suit it, else one of their own that can be kept."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.promises import next_promise, own_promises
from tellfirst.policy.hours import ALWAYS, Calendar, Span, opening
from tellfirst.policy.slots import slot
from tests.policy.test_hours import around, calendars

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYTIME = Calendar(zones=("UTC",), rules=((Span(days=frozenset(range(7)), opens=8 * 60, closes=20 * 60),),))


def steps(due: datetime, *, lead: timedelta = 2 * HOUR, expires: timedelta = 24 * HOUR) -> tuple[PlannedStep, ...]:
    return (
        PlannedStep(id="initial", kind="initial", not_after=due - lead),
        PlannedStep(id="update-1", kind="update", due=due, act_at=due - lead, not_after=due + expires),
    )


def test_the_plans_instant_stands_where_part_of_its_lead_time_is_open() -> None:
    assert own_promises(steps(NOON), DAYTIME) == {}
    assert own_promises(steps(NOON + 9 * HOUR), DAYTIME) == {}, "19 o'clock is open"
    assert own_promises(steps(NOON - 4 * HOUR), DAYTIME) == {}, "8 o'clock is open"
    assert own_promises(steps(NOON + 12 * HOUR), ALWAYS) == {}


def test_a_promise_for_the_night_is_one_for_the_morning() -> None:
    night = steps(NOON + 12 * HOUR)
    own = own_promises(night, DAYTIME)
    assert own == {"update-1": NOON + 22 * HOUR}, "two hours after they may be disturbed again"
    assert next_promise(night, "initial", own) == NOON + 22 * HOUR
    assert next_promise(night, "initial") == NOON + 12 * HOUR


def test_what_could_not_be_kept_is_not_promised() -> None:
    assert own_promises(steps(NOON + 12 * HOUR, expires=9 * HOUR), DAYTIME) is None
    assert own_promises(steps(NOON), DAYTIME.model_copy(update={"zones": ()})) is None


@settings(max_examples=150, deadline=None)
@given(
    calendar=calendars,
    due=around,
    lead=st.timedeltas(timedelta(minutes=1), timedelta(hours=12)),
    expires=st.timedeltas(timedelta(hours=1), timedelta(days=4)),
)
def test_a_promise_can_be_kept_whatever_the_clocks_do_until_then(
    calendar: Calendar, due: datetime, lead: timedelta, expires: timedelta
) -> None:
    planned = steps(due, lead=lead, expires=expires)
    own = own_promises(planned, calendar)
    if own is None:
        opens = opening(calendar, due - lead)
        assert opens is None or (opens > due and opens + lead >= due + expires), "else it could have been promised"
        return
    promised = own.get("update-1", due)
    assert due <= promised < due + expires
    opens = opening(calendar, promised - lead)
    assert opens is not None
    assert opens <= promised, "they may be disturbed while it is prepared"


@settings(max_examples=150, deadline=None)
@given(planned_for=calendars, lives_by=calendars, due=around)
def test_whoever_moves_is_told_at_an_hour_of_where_they_live(
    planned_for: Calendar, lives_by: Calendar, due: datetime
) -> None:
    # What was promised stands as it was signed; when the message leaves is judged by the zone that is known then.
    own = own_promises(steps(due), planned_for)
    promised = due if own is None else own.get("update-1", due)
    leaves = slot(lives_by, promised - 2 * HOUR, not_after=due + 24 * HOUR)
    if isinstance(leaves, datetime):
        assert opening(lives_by, leaves) == leaves
