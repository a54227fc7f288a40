"""Team load, on a week small enough to count by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.domain.load import Acknowledged, Decided, Duties
from tellfirst.measurement.load import Waited, team_load
from tellfirst.policy.hours import ALWAYS, Calendar, Span

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at_work(zone: str = "UTC") -> Calendar:
    return Calendar(zones=(zone,), rules=((Span(days=frozenset(range(5)), opens=9 * 60, closes=17 * 60),),))


def decided(
    person: str, waited: float | None, at: datetime = MONDAY, *, kind: str = "approve", exception: bool = False
) -> Decided:
    since = None if waited is None else at - waited * HOUR
    return Decided(person=person, decision=kind, exception=exception, since=since, at=at)


DUTIES = Duties(
    decisions=(
        decided("eve", 1),
        decided("eve", 2, MONDAY + 8 * HOUR, kind="reject"),
        decided("eve", 12, exception=True),
        decided("tom", None, MONDAY - 24 * HOUR),
    ),
    escalations=(
        Acknowledged(person="tom", opened_at=MONDAY, acknowledged_at=MONDAY + HOUR / 2),
        Acknowledged(person="", opened_at=MONDAY, acknowledged_at=None),
    ),
    requests=("ann", "ann", "eve"),
)


def test_each_person_has_their_own_figures() -> None:
    eve, tom, ann = team_load(DUTIES, at_work()).people
    assert (eve.person, eve.decisions, eve.approvals, eve.exceptions, eve.asked) == ("eve", 3, 2, 1, 1)
    assert eve.waited == Waited(count=3, median=7_200, longest=43_200)
    assert eve.after_hours == 1  # 18:00
    assert (tom.person, tom.waited, tom.after_hours) == ("tom", None, 1)  # a Sunday
    assert (tom.escalations, tom.acknowledged) == (1, Waited(count=1, median=1_800, longest=1_800))
    assert (ann.person, ann.decisions, ann.asked) == ("ann", 0, 2)


def test_all_of_them_together() -> None:
    found = team_load(DUTIES, at_work())
    assert (found.everyone.decisions, found.everyone.asked, found.everyone.escalations, found.open) == (4, 3, 1, 1)
    assert team_load(Duties(), ALWAYS).people == ()


@pytest.mark.parametrize(("zone", "after"), [("UTC", 0), ("America/New_York", 1), ("Asia/Tokyo", 1)])
def test_business_hours_are_where_people_work(zone: str, after: int) -> None:
    only = Duties(decisions=(decided("eve", 1),))
    assert team_load(only, at_work(zone)).everyone.after_hours == after
