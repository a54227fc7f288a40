"""Promises of a recipient: the plan's instant where their hours suit it, else one of their own that can be kept."""

from datetime import UTC, datetime, timedelta

from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.promises import next_promise, own_promises
from tellfirst.policy.hours import ALWAYS, Calendar, Span

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
