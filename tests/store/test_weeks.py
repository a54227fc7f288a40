"""Contacts by week: full weeks of every source, and a comparison that nobody chose."""

from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.measurement.series import WEEK
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.weeks import Weeks
from tests.store.make import DAY, HOUR, OUTREACH, by, candidate, claim, customers, freeze, paged

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
LATE, OTHER = "where_is_my_order", "wrong_size"


def told(database: Database, at: datetime) -> None:
    """Tells one customer at an instant."""
    claim(database)
    freeze(database)
    customers(database, ["c-1"])
    paged(database, [candidate("c-1")]).randomise(OUTREACH, 1, by(t0=at, not_after=at + DAY), page=0)


def come(
    database: Database, reason: str, per_week: list[int], *, since: datetime = MONDAY, source: str = "desk"
) -> None:
    contacts = [
        Contact(id=f"{reason}-{week}-{n}", customer=f"x-{n}", reason_code=reason, occurred_at=at + n * HOUR)
        for week, count in enumerate(per_week)
        for at in (since + week * WEEK,)
        for n in range(count)
    ]
    through = since + len(per_week) * WEEK
    Contacts(database).save(contacts, source=source, through=through, now=through)


def test_what_nobody_was_told_about_says_nothing(database: Database) -> None:
    come(database, LATE, [20] * 20)
    assert Weeks(database).evidence(LATE) is None


def test_weeks_are_compared_with_all_that_no_outreach_was_about(database: Database) -> None:
    told(database, MONDAY + 10 * WEEK + DAY)
    come(database, LATE, [40, 42, 39, 41, 38, 43, 40, 41, 39, 40, 33, 30, 29, 31, 30, 28])
    come(database, OTHER, [60, 61, 59, 62, 58, 60, 61, 60, 59, 62, 60, 61, 60, 59, 62, 60])
    found = Weeks(database).evidence(LATE)
    assert found is not None
    assert (found.grade, found.weeks_before, found.weeks_after) == ("C", 10, 5)
    assert found.change is not None
    assert -0.35 < found.change.low < found.change.change < found.change.high < -0.15


def test_only_weeks_that_every_source_covers_count(database: Database) -> None:
    told(database, MONDAY + 12 * WEEK + DAY)
    come(database, LATE, [20, 21] * 9)
    come(database, OTHER, [6] * 15, since=MONDAY + timedelta(days=16, hours=1), source="phone")
    found = Weeks(database).evidence(LATE)
    assert found is not None
    # The phone is known from the third Wednesday on, so from the fourth Monday; and until its last Wednesday.
    assert (found.weeks_before, found.weeks_after) == (9, 4)


def test_a_source_that_never_said_how_far_it_is_complete_says_nothing(database: Database) -> None:
    told(database, MONDAY + 12 * WEEK + DAY)
    one = Contact(id="1", customer="x", reason_code=LATE, occurred_at=MONDAY)
    Contacts(database).save([one], source="desk", through=None, now=MONDAY)
    found = Weeks(database).evidence(LATE)
    assert found is not None
    assert (found.grade, found.weeks_before, found.weeks_after) == ("E", 0, 0)


@pytest.mark.parametrize(("second", "after"), [(0, 4), (-1, 3)])
def test_a_week_is_full_to_its_last_second(database: Database, second: int, after: int) -> None:
    told(database, MONDAY + 9 * WEEK)
    come(database, LATE, [20] * 14, since=MONDAY + timedelta(seconds=second))
    found = Weeks(database).evidence(LATE)
    assert found is not None
    assert (found.weeks_before, found.weeks_after) == (9, after)
