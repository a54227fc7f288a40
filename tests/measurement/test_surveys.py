"""What surveys say: the intervals, and no comparison unless as many answer in both arms."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tellfirst.domain.figures import Sums
from tellfirst.domain.outcome import Arm
from tellfirst.domain.survey import SurveyFigures
from tellfirst.measurement.surveys import read_surveys

stats = pytest.importorskip("scipy.stats")

AT = datetime(2026, 3, 1, tzinfo=UTC)


def arm(name: Arm, scores: list[int], *, drawn: int = 0, outreach: str = "outreach/a", **more: Any) -> SurveyFigures:
    n = drawn or 2 * len(scores)
    return SurveyFigures(
        outreach=outreach, trigger="late_delivery", reason_code="where_is_my_order", kind="ces", arm=name,
        drawn=n, closed_at=AT, scores=Sums.of((score, 0.0) for score in scores),
        **{"share": 0.5, "asked": n, "answered": len(scores), **more},
    )  # fmt: skip


def test_the_arms_are_compared_by_welch_where_as_many_answer() -> None:
    told, held = [5, 4, 4, 5, 3] * 60, [3, 4, 2, 3, 5] * 60
    (reading,) = read_surveys([arm("treated", told), arm("control", held)])
    oracle = stats.ttest_ind(told, held, equal_var=False).confidence_interval()
    assert reading.warning == ""
    assert reading.difference is not None
    assert reading.difference.value == pytest.approx(0.8)
    assert (reading.difference.low, reading.difference.high) == pytest.approx((oracle.low, oracle.high))
    mean = stats.t.interval(0.95, len(told) - 1, loc=4.2, scale=stats.sem(told))
    score = reading.arms[0].score
    assert score is not None
    assert (score.value, score.low, score.high) == pytest.approx((4.2, *mean))
    assert reading.sentences[0] == "told: 300 of 600 asked answered (50%); ease 4.20 [4.11, 4.29] of 5"
    assert "among those who answer" in reading.sentences[-1]


@pytest.mark.parametrize(
    ("drawn", "why"),
    [((600, 1_000), "more of those who were told answered"), ((1_000, 600), "more of those who were not told")],
)
def test_where_others_answer_the_scores_are_not_compared(drawn: tuple[int, int], why: str) -> None:
    (reading,) = read_surveys([arm("treated", [5] * 300, drawn=drawn[0]), arm("control", [1] * 300, drawn=drawn[1])])
    assert reading.difference is None
    assert why in reading.warning
    assert reading.warning in reading.sentences


def test_who_stopped_messages_before_being_asked_has_not_answered() -> None:
    told = arm("treated", [4] * 250, drawn=1_000, asked=500)
    (reading,) = read_surveys([told, arm("control", [4] * 500, drawn=1_000)])
    assert [one.response.value for one in reading.arms if one.response] == [0.5, 0.5]
    assert reading.difference is None


def test_too_few_to_know_is_no_comparison() -> None:
    (reading,) = read_surveys([arm("treated", [5] * 10), arm("control", [3] * 10)])
    assert (reading.difference, "too few were asked" in reading.warning) == (None, True)


def test_without_a_hold_out_there_is_nothing_to_compare_with() -> None:
    (reading,) = read_surveys([arm("treated", [5] * 10, share=0.0)])
    assert (reading.difference, "nobody was held out" in reading.warning) == (None, True)
    assert read_surveys([]) == []


def test_each_outreach_is_compared_within_itself() -> None:
    # Where many are held out everybody is content, elsewhere nobody: pooled raw, being told would seem to annoy.
    figures = [
        arm("treated", [5, 4] * 50, outreach="outreach/a", share=0.9),
        arm("control", [5, 4] * 450, outreach="outreach/a", share=0.9),
        arm("treated", [2, 1] * 450, outreach="outreach/b", share=0.1),
        arm("control", [2, 1] * 50, outreach="outreach/b", share=0.1),
    ]
    (reading,) = read_surveys(figures)
    assert reading.outreaches == 2
    assert reading.difference is not None
    assert reading.difference.value == pytest.approx(0)
    assert reading.difference.low < 0 < reading.difference.high


def test_how_welcome_it_was_is_of_those_who_were_told_and_said_so() -> None:
    figures = [arm("treated", [4] * 300, welcome=60, intrusive=20), arm("control", [4] * 300)]
    (reading,) = read_surveys(figures)
    assert reading.welcome is not None
    assert (reading.welcome.value, reading.said) == (0.75, 80)
    assert reading.welcome.low == pytest.approx(stats.binomtest(60, 80).proportion_ci(method="wilson").low)
    assert reading.sentences[-1] == "75% [65%, 83%] of 80 who were told and said so found it welcome"
