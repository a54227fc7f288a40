"""The ranking: by steadiness, then by what telling first is worth at its low end; and what it lacks."""

from datetime import date, timedelta

import pytest

from tellfirst.measurement.forerunners import DAY, HOUR, Forerunners, Price, Span
from tellfirst.measurement.reasons import YEAR, Volumes
from tellfirst.measurement.worth import UNJUDGED, Candidate, rank, wanted

MONDAY = date(2026, 3, 2)
DAYS = 364
MONEY = Price(contact=8, told=0.1, deflection=0.2)


def year() -> tuple[Volumes, Forerunners]:
    """Counts a year: parcels of which an event tells, and a larger crowd of questions of which none does."""
    volumes = Volumes()
    span = Span(first=0, last=DAYS * DAY)
    forerunners = Forerunners(contacts=span, events=span, lookback=14 * DAY, notice=4 * HOUR)
    for n in range(DAYS):
        for _ in range(3):
            volumes.add("question", MONDAY + timedelta(days=n))
        volumes.add("parcel", MONDAY + timedelta(days=n))
        late = [((n - 1) * DAY, "late")] if n % 2 and n > 1 else []
        forerunners.add(late, [(n * DAY, "parcel"), *[(n * DAY + HOUR, "question")] * (0 if late else 3)])
        forerunners.add([], [(n * DAY, "question")] * (3 if late else 0))
    return volumes, forerunners


def test_without_events_the_steady_volume_ranks() -> None:
    volumes, _ = year()
    found = rank(volumes, None, {}, MONEY)
    assert [(one.volume.reason, one.event, one.value) for one in found] == [
        ("question", None, None),
        ("parcel", None, None),
    ]
    assert [one.score for one in found] == [one.score for one in volumes.ranked()]


def test_a_large_reason_that_no_event_foretells_scores_nothing() -> None:
    volumes, forerunners = year()
    found = rank(volumes, forerunners, {"parcel": 1.0, "question": 1.0}, MONEY)
    assert [one.volume.reason for one in found] == ["parcel", "question"]
    assert found[0].score > 0 >= found[1].score
    assert found[1].volume.volume == 3 * found[0].volume.volume


def test_the_score_is_the_low_end_of_a_years_worth() -> None:
    volumes, forerunners = year()
    parcel = rank(volumes, forerunners, {"parcel": 1.0}, MONEY)[0]
    assert parcel.a_year == pytest.approx(DAYS * YEAR / DAYS)
    assert parcel.event is not None
    assert parcel.value is not None
    told = parcel.event.events_a_year * 0.1
    assert parcel.value.value == pytest.approx(parcel.a_year * parcel.event.in_time.value * 0.2 * 8 - told)
    assert parcel.score == parcel.value.low < parcel.value.value < parcel.value.high


def test_what_the_owner_has_not_judged_is_half_avoidable() -> None:
    volumes, forerunners = year()
    judged, assumed, spared = (
        rank(volumes, forerunners, part, Price(contact=8))[0] for part in ({"parcel": 1.0}, {}, {"parcel": 0.25})
    )
    assert assumed.avoidable == UNJUDGED
    assert judged.score == pytest.approx(2 * assumed.score)
    assert spared.score == pytest.approx(assumed.score / 2)


def test_a_reason_never_seen_beside_events_has_no_worth() -> None:
    volumes, forerunners = year()
    volumes.add("other", MONDAY)
    [other] = [one for one in rank(volumes, forerunners, {}, MONEY) if one.volume.reason == "other"]
    assert (other.event, other.value, other.score) == (None, None, 0)


def lacks(found: list[Candidate], volumes: Volumes, **given: bool | int) -> str:
    known = {"events": True, "cost": True, "told": True, "judged": len(found), "days_only": False} | given
    return "; ".join(wanted(volumes, found, **known))  # type: ignore[arg-type]


def test_it_says_what_would_sharpen_it() -> None:
    volumes, forerunners = year()
    found = rank(volumes, forerunners, {}, MONEY)
    assert lacks(found, volumes) == (
        "the measured effect of outreaches with a hold-out: the share avoided is so far assumed"
    )
    assert lacks(found, volumes, events=False).startswith("operational events")
    assert "the cost of a contact" in lacks(found, volumes, cost=False)
    assert "telling everybody looks free" in lacks(found, volumes, told=False)
    assert "0.5 is assumed for 1 of 2 reasons" in lacks(found, volumes, judged=1)
    assert "the lead time is rough" in lacks(found, volumes, days_only=True)


def test_a_short_or_broken_period_is_named() -> None:
    volumes = Volumes()
    for day in (0, 27):
        volumes.add("r", MONDAY + timedelta(days=day))
    said = lacks(rank(volumes, None, {}, MONEY), volumes)
    assert "26 full weeks or more show what is steady, and this has 4" in said
    assert "the weeks without any contact (2 of 4)" in said


def test_a_trigger_that_tells_everybody_is_named() -> None:
    volumes, span = Volumes(), Span(first=0, last=100 * DAY)
    volumes.add("r", MONDAY)
    foretold, idle = (Forerunners(contacts=span, events=span, lookback=DAY, notice=0) for _ in range(2))
    for n in range(500):
        foretold.add([(2 * DAY, "k")], [(2 * DAY, "r")] if n < 5 else [])
        idle.add([(2 * DAY, "k")], [(50 * DAY, "r")] if n < 5 else [])
    assert "mostly noise" in lacks(rank(volumes, foretold, {}, MONEY), volumes)
    assert "mostly noise" not in lacks(rank(volumes, idle, {}, MONEY), volumes)  # no trigger of it, narrow or wide
