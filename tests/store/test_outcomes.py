"""Outcomes: a correction is a new version, and the report shows the latest."""

from datetime import timedelta

import pytest
from sqlmodel import select

from tellfirst.domain.outcome import ArmOutcome, Outcome
from tellfirst.store.engine import Database
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.tables import OutcomeRow
from tests.store.make import DAY, NOON, OUTREACH, claim

OTHER = "outreach/late_delivery/k-2/1"


def outcome(contacted: int = 10, *, reason: str = "where_is_my_order", **more: object) -> Outcome:
    return Outcome(
        reason_code=reason,
        arms=(
            ArmOutcome(arm="treated", clusters=100, contacted=contacted, rate=contacted / 100),
            ArmOutcome(arm="control", clusters=50, contacted=9, rate=0.18),
        ),
        difference=contacted / 100 - 0.18,
        ci_low=-0.2,
        ci_high=0.05,
        grade="A",
        sentence="…",
    ).model_copy(update=more)


@pytest.fixture
def outcomes(database: Database) -> Outcomes:
    claim(database)
    claim(database, OTHER)
    return Outcomes(database)


def versions(database: Database) -> list[tuple[int, str, int]]:
    with database.read() as session:
        return sorted((r.version, r.arm, r.contacted) for r in session.exec(select(OutcomeRow)))


def test_correction_is_a_new_version(database: Database, outcomes: Outcomes) -> None:
    outcomes.record(OUTREACH, outcome(10), at=NOON)
    outcomes.record(OUTREACH, outcome(11), at=NOON + DAY)
    assert versions(database) == [(1, "control", 9), (1, "treated", 10), (2, "control", 9), (2, "treated", 11)]


@pytest.mark.parametrize(("grade", "added"), [("A", 0), ("E", 2)])
def test_same_figures_add_nothing(database: Database, outcomes: Outcomes, grade: str, added: int) -> None:
    outcomes.record(OUTREACH, outcome(), at=NOON)
    outcomes.record(OUTREACH, outcome(grade=grade), at=NOON + DAY)
    assert len(versions(database)) == 2 + added


def test_figures_that_return_are_a_new_version(database: Database, outcomes: Outcomes) -> None:
    for contacted in (10, 11, 11, 10):
        outcomes.record(OUTREACH, outcome(contacted), at=NOON)
    assert [v for v, arm, _ in versions(database) if arm == "treated"] == [1, 2, 3]


def test_report_shows_the_latest_of_each(outcomes: Outcomes) -> None:
    outcomes.record(OUTREACH, outcome(10), at=NOON)
    outcomes.record(OUTREACH, outcome(12), at=NOON + DAY)
    outcomes.record(OTHER, outcome(5), at=NOON)
    lines = outcomes.report()
    assert [(line.outreach, line.arm, line.contacted) for line in lines] == [
        (OTHER, "treated", 5),
        (OTHER, "control", 9),
        (OUTREACH, "treated", 12),
        (OUTREACH, "control", 9),
    ]
    assert {line.trigger for line in lines} == {"late_delivery"}
    assert (lines[0].difference, lines[0].ci_low, lines[0].grade) == (outcome(5).difference, -0.2, "A")


def test_report_is_of_a_reason_and_a_time(outcomes: Outcomes) -> None:
    outcomes.record(OUTREACH, outcome(), at=NOON)
    outcomes.record(OTHER, outcome(reason="refund_status"), at=NOON + DAY)
    assert {line.outreach for line in outcomes.report(reason="refund_status")} == {OTHER}
    assert {line.outreach for line in outcomes.report(since=NOON + timedelta(seconds=1))} == {OTHER}
    assert {line.outreach for line in outcomes.report(since=NOON)} == {OUTREACH, OTHER}


def test_withheld_figures_come_back_as_none(outcomes: Outcomes) -> None:
    withheld = outcome(difference=None, ci_low=None, ci_high=None, grade="X")
    outcomes.record(OUTREACH, withheld, at=NOON)
    assert [(line.difference, line.ci_low, line.ci_high) for line in outcomes.report()] == [(None, None, None)] * 2
