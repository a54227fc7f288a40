import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tellfirst.domain.outcome import ArmOutcome, Outcome
from tellfirst.measurement.grades import grade
from tellfirst.measurement.outcome import judge

GOOD = {"treated": 900, "control": 100, "contacted": 60, "ratio_p": 0.9}
Arms = tuple[tuple[int, int], tuple[int, int]]


def judged(
    treated: tuple[int, int], control: tuple[int, int], holdout: float = 0.1, closed: bool = True, passed: bool = True
) -> Outcome:
    return judge(treated, control, holdout, closed, passed, "where_is_my_order")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "A"),
        ({"ratio_p": 0.001}, "A"),
        ({"ratio_p": 0.00099}, "X"),
        ({"contacted": 5}, "A"),
        ({"contacted": 4}, "B"),
        ({"control": 30}, "A"),
        ({"control": 29}, "B"),
        ({"treated": 29}, "B"),
        ({"control": 0}, "E"),
        ({"treated": 0}, "E"),
        ({"treated": 0, "control": 0}, "E"),
    ],
)
def test_grades_of_a_closed_window(changed: dict[str, float], expected: str) -> None:
    assert grade(**{**GOOD, **changed}, window_closed=True, watermark_passed=True).grade == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("closed", "passed", "expected"), [(True, True, "A"), (False, False, "B"), (False, True, "B"), (True, False, "E")]
)
def test_grades_by_window_and_watermark(closed: bool, passed: bool, expected: str) -> None:
    assert judged((900, 50), (100, 9), closed=closed, passed=passed).grade == expected


def test_a_broken_split_hides_behind_nothing() -> None:
    for closed, passed in ((True, True), (True, False), (False, False)):
        assert judged((900, 50), (200, 9), closed=closed, passed=passed).grade == "X"
    assert judged((1_000, 50), (0, 0)).grade == "X"
    assert judged((900, 50), (100, 9), holdout=0).grade == "X"


def test_an_outcome_with_an_effect() -> None:
    outcome = judged((18_041, 1_314), (2_007, 241))
    assert outcome.grade == "A"
    assert outcome.difference == pytest.approx(1_314 / 18_041 - 241 / 2_007)
    assert outcome.ci_low is not None
    assert outcome.ci_high is not None
    assert outcome.ci_low < outcome.difference < outcome.ci_high < 0
    assert [arm.arm for arm in outcome.arms] == ["treated", "control"]
    assert outcome.arms[1].rate == pytest.approx(241 / 2_007)
    assert outcome.sentence == (
        "Of the accounts chosen to be told first, 1,314 of 18,041 (7.3 %) contacted support about"
        " where_is_my_order; of those held out, 241 of 2,007 (12.0 %): 4.7 percentage points lower"
        " (95 % interval: 3.3 to 6.3 lower). Telling them first very likely lowered that share: chance alone would"
        " rarely give such a difference. The accounts were assigned by chance, the split is as drawn, and the window"
        " is closed with its contacts counted."
    )


def test_harm_is_said_as_plainly_as_help() -> None:
    sentence = judged((9_000, 900), (1_000, 50)).sentence
    assert "very likely raised" in sentence
    assert "higher" in sentence


def test_an_interval_across_zero_claims_nothing() -> None:
    outcome = judged((884, 61), (96, 9))
    assert outcome.grade == "A"
    assert "not evidence" in outcome.sentence
    assert "very likely" not in outcome.sentence
    assert "from 10.1 lower to 2.3 higher" in outcome.sentence


@pytest.mark.parametrize(("arms", "closed"), [(((27, 0), (3, 3)), True), (((18_041, 1_314), (2_007, 241)), False)])
def test_grade_b_shows_the_number_but_claims_nothing(arms: Arms, closed: bool) -> None:
    outcome = judged(*arms, closed=closed, passed=closed)
    assert outcome.grade == "B"
    assert outcome.difference is not None
    assert "very likely" not in outcome.sentence


@given(
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.booleans(),
    st.booleans(),
)
def test_the_number_stands_exactly_where_the_grade_allows(
    treated: tuple[int, int], control: tuple[int, int], holdout: float, closed: bool, passed: bool
) -> None:
    outcome = judged(treated, control, holdout, closed, passed)
    numbers = [outcome.difference, outcome.ci_low, outcome.ci_high]
    if outcome.grade in "XE":
        assert numbers == [None, None, None]
    else:
        assert None not in numbers
    assert "deflect" not in outcome.sentence.lower()
    if outcome.grade == "E" and treated[0]:
        assert "contacts after outreach" in outcome.sentence
    if outcome.grade == "X" or (closed and not passed):
        assert [arm.rate for arm in outcome.arms] == [None, None]
        assert "%" not in outcome.sentence


def test_without_a_holdout_contacts_are_only_counted() -> None:
    outcome = judged((900, 61), (0, 0), holdout=0)
    assert outcome.grade == "E"
    assert outcome.arms[0].rate == pytest.approx(61 / 900)
    assert outcome.arms[1].rate is None
    assert outcome.sentence.startswith("Of the accounts in this outreach, 61 of 900 (6.8 %) contacted support about")
    assert "this outreach, so far 61" in judged((900, 61), (0, 0), 0, closed=False).sentence


def test_small_shares_are_not_rounded_away() -> None:
    assert "40 of 90,000 (0.04 %)" in judged((90_000, 40), (10_000, 40)).sentence


def test_more_contacts_than_accounts_are_refused() -> None:
    with pytest.raises(ValidationError):
        ArmOutcome(arm="treated", clusters=5, contacted=6, rate=None)
    with pytest.raises(ValueError):
        judged((900, 901), (100, 3))
