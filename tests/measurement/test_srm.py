from math import comb, exp, factorial, prod

import pytest

from tellfirst.measurement.grades import BROKEN_RATIO
from tellfirst.measurement.srm import EXACT_BELOW, sample_ratio_p, split_p


@pytest.mark.parametrize(
    ("treated", "control", "expected", "relative"),
    # 821,588 against 815,482 is the example of Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments.
    [(502, 498, 0.899, 1e-3), (600, 400, 2.54e-10, 1e-2), (821_588, 815_482, 1.8e-6, 3e-2)],
)
def test_reference_numbers(treated: int, control: int, expected: float, relative: float) -> None:
    assert sample_ratio_p(treated, control, 0.5) == pytest.approx(expected, rel=relative)


def test_a_hopeless_split_is_about_impossible() -> None:
    assert 0 < sample_ratio_p(9_463, 7_681, 0.5) < 1e-40


@pytest.mark.parametrize(("n", "share"), [(1, 0.5), (7, 0.1), (40, 0.25), (200, 0.1)])
def test_below_a_thousand_it_is_the_exact_binomial(n: int, share: float) -> None:
    likelihood = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    for control in range(n + 1):
        exact = sum(p for p in likelihood if p <= likelihood[control] * (1 + 1e-7))
        assert sample_ratio_p(n - control, control, share) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("n", [5, 20, 50, 500])
def test_it_raises_no_more_false_alarms_than_promised(n: int) -> None:
    alarms = sum(
        comb(n, k) * 0.1**k * 0.9 ** (n - k) for k in range(n + 1) if sample_ratio_p(n - k, k, 0.1) < BROKEN_RATIO
    )
    assert alarms <= BROKEN_RATIO


def test_both_methods_agree_where_they_meet() -> None:
    exact = sample_ratio_p(EXACT_BELOW - 1 - 120, 120, 0.1)
    assert sample_ratio_p(EXACT_BELOW - 120, 120, 0.1) == pytest.approx(exact, rel=0.15)


def test_no_holdout_means_no_control() -> None:
    assert sample_ratio_p(50, 0, 0) == 1
    assert sample_ratio_p(50, 1, 0) == 0
    assert sample_ratio_p(0, 50, 1) == 1
    assert sample_ratio_p(0, 0, 0.1) == 1


@pytest.mark.parametrize(("treated", "control", "share"), [(-1, 5, 0.1), (5, -1, 0.1), (5, 5, -0.1), (5, 5, 1.1)])
def test_impossible_counts_are_refused(treated: int, control: int, share: float) -> None:
    with pytest.raises(ValueError, match=r"no fewer than 0|lies from 0"):
        sample_ratio_p(treated, control, share)


def test_two_arms_of_many_are_two_arms() -> None:
    assert split_p([9_463, 7_681], [0.5, 0.5]) == sample_ratio_p(9_463, 7_681, 0.5)
    assert split_p([91, 9], [0.9, 0.1]) == sample_ratio_p(91, 9, 0.1)


def test_the_thirds_of_a_real_experiment() -> None:
    # Hillstrom 2008: 21,307, 21,387 and 21,306 of 64,000; the statistic is 0.2026.
    assert split_p([21_307, 21_387, 21_306], [1 / 3] * 3) == pytest.approx(exp(-0.2026 / 2), abs=1e-3)


@pytest.mark.parametrize("shares", [[1 / 3] * 3, [0.8, 0.1, 0.1]])
def test_three_small_arms_raise_no_more_false_alarms_than_promised(shares: list[float]) -> None:
    n, alarms, sizes = 30, 0.0, range(31)
    for one, two in ((one, two) for one in sizes for two in sizes if one + two <= n):
        counts = (one, two, n - one - two)
        ways = factorial(n) / prod(factorial(count) for count in counts)
        if split_p(counts, shares) < BROKEN_RATIO:
            alarms += ways * prod(share**count for share, count in zip(shares, counts, strict=True))
    assert 0 < alarms <= BROKEN_RATIO


@pytest.mark.parametrize(
    ("counts", "shares"),
    [([5], [1.0]), ([5, 5], [0.5, 0.6]), ([5, 5], [0, 1]), ([-1, 5], [0.5, 0.5]), ([5, 5, 5], [0.5, 0.5])],
)
def test_impossible_splits_are_refused(counts: list[int], shares: list[float]) -> None:
    with pytest.raises(ValueError):
        split_p(counts, shares)
