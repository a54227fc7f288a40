import pytest

from tellfirst.measurement.estimate import Tally, estimate

ARMS = {"mail": (900, 61), "none": (100, 12)}
AS_DRAWN = {"mail": 0.9, "none": 0.1}


def test_an_arm_against_control() -> None:
    found = estimate(ARMS, "none")
    [mail] = found.arms
    assert (found.control.n, found.control.events, found.control.rate) == (100, 12, 0.12)
    assert mail.difference == pytest.approx(61 / 900 - 0.12)
    assert mail.relative == pytest.approx(61 / 900 / 0.12 - 1)
    assert mail.ci_low is not None
    assert mail.ci_high is not None
    assert mail.ci_low < mail.difference < mail.ci_high
    assert mail.relative_ci_low is not None
    assert mail.relative_ci_high is not None
    assert mail.relative_ci_low < mail.relative < mail.relative_ci_high


@pytest.mark.parametrize(
    ("expected", "crossed", "grade"),
    [
        (None, 0, "B"),
        (AS_DRAWN, 0, "A"),
        (AS_DRAWN, 1, "B"),
        ({"mail": 0.5, "none": 0.5}, 0, "X"),
        ({"mail": 0.5, "none": 0.5}, 1, "X"),
    ],
)
def test_the_grade(expected: dict[str, float] | None, crossed: int, grade: str) -> None:
    found = estimate(ARMS, "none", expected=expected, crossed=crossed)
    assert found.grade == grade
    assert (found.srm_p is None) == (expected is None)


def test_a_broken_split_withholds_the_figures() -> None:
    found = estimate(ARMS, "none", expected={"mail": 0.5, "none": 0.5})
    [mail] = found.arms
    assert set(mail.model_dump(exclude={"arm", "n", "events"}).values()) == {None}
    assert found.control.rate is None
    assert "withheld" in found.sentence


def test_few_are_called_few() -> None:
    assert "too few" in estimate({"mail": (29, 9), "none": (50, 9)}, "none").sentence
    assert "too few" in estimate({"mail": (900, 3), "none": (100, 1)}, "none").sentence
    assert "too few" not in estimate(ARMS, "none").sentence


def test_nobody_in_control_has_no_ratio() -> None:
    [mail] = estimate({"mail": (900, 61), "none": (100, 0)}, "none").arms
    assert (mail.relative, mail.relative_ci_low, mail.relative_ci_high) == (None, None, None)
    [mail] = estimate({"mail": (900, 0), "none": (100, 12)}, "none").arms
    assert (mail.relative, mail.relative_ci_low) == (-1.0, -1.0)


def test_a_comparison_takes_two_arms_and_a_share_for_each() -> None:
    for arms, expected in (({"none": (5, 1)}, None), ({"a": (5, 1), "b": (5, 1)}, None), (ARMS, {"none": 0.1})):
        with pytest.raises(ValueError):
            estimate(arms, "none", expected=expected)


def test_rows_of_a_unit_are_one() -> None:
    tally = Tally()
    for arm, did, unit in (("a", False, 1), ("a", True, 1), ("a", True, 1), ("b", False, 2), ("b", False, 2)):
        tally.add(arm, did, unit)
    assert tally.arms == {"a": (1, 1), "b": (1, 0)}
    assert tally.crossed == 0


def test_rows_without_a_unit_are_each_one() -> None:
    tally = Tally()
    for did in (True, True, False):
        tally.add("a", did)
    assert tally.arms == {"a": (3, 2)}


def test_a_unit_in_two_arms_stays_in_its_first_and_is_counted_once() -> None:
    tally = Tally()
    for arm, did in (("a", False), ("b", True), ("b", True), ("a", False)):
        tally.add(arm, did, "account-1")
    tally.add("b", False, "account-2")
    assert tally.arms == {"a": (1, 1), "b": (1, 0)}
    assert tally.crossed == 1
