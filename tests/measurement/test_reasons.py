"""Volume and steadiness of reasons, against another computation and at the edges of a week."""

import csv
import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.measurement.reasons import MOST_REASONS, ReasonVolume, Volumes
from tests.figures import Figure

MONDAY = date(2026, 3, 2)
SHARED = Path(os.environ.get("TELLFIRST_TEST_DATA", Path(__file__).parents[2].parent / "shared/data"))
COMPLAINTS = SHARED / "cfpb/consumer_complaints.csv"

CONTACTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=80)


def counted(*contacts: tuple[str, int]) -> Volumes:
    """Counts contacts given as (reason, days after a Monday)."""
    volumes = Volumes()
    for reason, day in contacts:
        volumes.add(reason, MONDAY + timedelta(days=day))
    return volumes


def day_of(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=UTC).date()


def line(volumes: Volumes, reason: str) -> ReasonVolume:
    [found] = [one for one in volumes.ranked() if one.reason == reason]
    return found


def test_the_variation_is_that_of_full_weeks_and_silent_ones_count() -> None:
    # Weeks of 4, 0 and 2 contacts: mean 2, population deviation sqrt(8/3).
    volumes = counted(*[("a", 0)] * 4, ("a", 14), ("a", 20))
    assert volumes.full_weeks == 3
    assert volumes.silent_weeks == 1
    assert line(volumes, "a").weekly_cv == pytest.approx((8 / 3) ** 0.5 / 2)
    assert line(volumes, "a").score == pytest.approx(6 / (1 + (8 / 3) ** 0.5 / 2))


@pytest.mark.parametrize(("first", "last", "weeks"), [(0, 13, 2), (0, 12, 1), (1, 13, 1), (1, 12, 0), (6, 7, 0)])
def test_a_week_is_full_from_its_monday_to_its_sunday(first: int, last: int, weeks: int) -> None:
    assert counted(("a", first), ("a", last)).full_weeks == weeks


def test_contacts_of_partial_weeks_count_in_the_volume_alone() -> None:
    volumes = counted(("a", -1), ("a", 0), ("a", 7), ("b", -1), ("a", 13), ("a", 14))
    assert line(volumes, "a").volume == 5
    assert line(volumes, "a").weekly_cv == pytest.approx(0.5 / 1.5)  # weeks of 1 and 2
    assert line(volumes, "a").share == pytest.approx(5 / 6)
    assert line(volumes, "b").weekly_cv is None
    assert line(volumes, "b").score == 0


def test_without_a_full_week_the_volume_alone_ranks() -> None:
    ranked = counted(("b", 1), ("a", 2), ("c", 2), ("c", 3)).ranked()
    assert [(one.reason, one.score, one.weekly_cv) for one in ranked] == [
        ("c", 2, None),
        ("a", 1, None),
        ("b", 1, None),
    ]


def test_nothing_counted_is_an_empty_ranking() -> None:
    assert (Volumes().ranked(), Volumes().full_weeks, Volumes().silent_weeks, Volumes().days) == ([], 0, 0, 0)


def test_a_steady_reason_goes_before_a_larger_one_in_a_burst() -> None:
    steady = [("steady", day) for day in range(56)]
    burst = [("burst", 3)] * 70
    assert [one.reason for one in counted(*steady, *burst).ranked()] == ["steady", "burst"]


@given(CONTACTS)
def test_it_agrees_with_numpy(contacts: list[tuple[str, int]]) -> None:
    volumes = counted(*contacts)
    days = [day for _, day in contacts]
    full = [week for week in range(10) if min(days) <= 7 * week and 7 * week + 6 <= max(days)]
    assert volumes.full_weeks == len(full)
    assert sum(one.share for one in volumes.ranked()) == pytest.approx(1)
    for one in volumes.ranked():
        counts = [sum(r == one.reason and day // 7 == week for r, day in contacts) for week in full]
        if one.weekly_cv is None:
            assert sum(counts) == 0
        else:
            assert one.weekly_cv == pytest.approx(np.std(counts) / np.mean(counts), abs=1e-12)


def test_free_text_is_no_reason_code() -> None:
    volumes = counted(*((str(n), 0) for n in range(MOST_REASONS)))
    volumes.add("0", MONDAY)
    with pytest.raises(ValueError, match="10,000 different"):
        volumes.add("one more", MONDAY)


@pytest.mark.skipif(not COMPLAINTS.is_file(), reason="the complaints are not there (../shared/data/cfpb)")
def test_real_complaints_agree_with_another_computation(figure: Figure) -> None:
    volumes = Volumes()
    with COMPLAINTS.open(encoding="utf-8") as file:
        rows = [(row["Issue"], day_of(row["Date received"])) for row in csv.DictReader(file)]
    for issue, day in rows:
        if issue:
            volumes.add(issue, day)
    weeks = [date(2015, 1, 5) + timedelta(weeks=n) for n in range(10)]
    assert volumes.full_weeks == len(weeks)
    by_week = Counter((issue, (day - date(2015, 1, 5)).days // 7) for issue, day in rows)
    for one in volumes.ranked():
        counts = [by_week[one.reason, n] for n in range(10)]
        if one.weekly_cv is not None:
            assert one.weekly_cv == pytest.approx(np.std(counts) / np.mean(counts), abs=1e-12)
    first = max(volumes.ranked(), key=lambda one: one.volume)
    figure(
        f"reasons, real complaints: first by volume '{first.reason}', {first.volume:,} rows,"
        f" weekly_cv {first.weekly_cv:.3f} over {volumes.full_weeks} full weeks"
    )
    assert (first.reason, first.volume) == ("Incorrect information on credit report", 4_170)
    assert first.weekly_cv == pytest.approx(0.234, abs=5e-4)
