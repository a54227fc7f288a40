import random

import pytest

from tellfirst.domain.figures import Sums
from tellfirst.measurement.means import mean_difference, pooled_means


def of(mean: float, deviation: float, n: int) -> Sums:
    return Sums(n=n, y=mean * n, yy=deviation**2 * (n - 1) + mean**2 * n)


def test_the_published_welch_interval() -> None:
    # gbstats' own test of its two-sided t-test.
    found = mean_difference(of(0.70, 6.2, 3_461), of(0.41, 3.9, 3_407))
    assert (found.low, found.high, found.p) == pytest.approx((0.04538, 0.53462, 0.02016), abs=5.1e-6)


def accounts(number: int, effect: float, chance: random.Random) -> list[tuple[float, float]]:
    often = [chance.expovariate(1) for _ in range(number)]
    return [(one + chance.expovariate(2) + effect, one + chance.expovariate(2)) for one in often]


def test_what_was_before_sharpens_and_does_not_move() -> None:
    chance = random.Random(1)
    treated, control = Sums.of(accounts(9_000, -0.2, chance)), Sums.of(accounts(1_000, 0, chance))
    plain, sharp = mean_difference(treated, control), mean_difference(treated, control, adjust=True)
    assert (plain.theta, plain.kept) == (0.0, 1.0)
    assert sharp.theta == pytest.approx(0.8, abs=0.05)
    # The variance that is left is 1 - rho^2; rho is 0.8 here.
    assert sharp.kept == pytest.approx(1 - 0.8**2, abs=0.08)
    assert sharp.error == pytest.approx(plain.error * sharp.kept**0.5)
    assert abs(sharp.difference + 0.2) < 2 * sharp.error
    assert sharp.df > 1_000


def test_the_members_of_a_cluster_are_not_independent() -> None:
    # Two hundred households of five who all do what the household does are two hundred units and not a thousand.
    chance = random.Random(2)
    homes = [[float(chance.random() < 0.2) for _ in range(200)] for _ in range(2)]
    together = [Sums.of((5 * home, 0.0) for home in arm) for arm in homes]
    apart = [Sums.of((home, 0.0) for home in arm for _ in range(5)) for arm in homes]
    honest = mean_difference(*together).error / 5
    assert honest == pytest.approx(mean_difference(*apart).error * 5**0.5, rel=0.01)


def test_nothing_before_adjusts_nothing() -> None:
    treated, control = Sums.of([(1, 0), (0, 0), (2, 0)]), Sums.of([(1, 0), (0, 0)])
    assert mean_difference(treated, control, adjust=True) == mean_difference(treated, control)


def test_arms_without_variation_have_no_width() -> None:
    alike = mean_difference(Sums.of([(1, 0)] * 3), Sums.of([(1, 0)] * 4))
    assert (alike.difference, alike.low, alike.high, alike.p, alike.kept) == (0, 0, 0, 1.0, 1.0)
    apart = mean_difference(Sums.of([(2, 0)] * 3), Sums.of([(1, 0)] * 4))
    assert (apart.low, apart.high, apart.p) == (1, 1, 0.0)


@pytest.mark.parametrize("clusters", [0, 1])
def test_one_cluster_has_no_error(clusters: int) -> None:
    few, enough = Sums.of([(1, 0)] * clusters), Sums.of([(1, 0), (0, 0)])
    for arms in ((few, enough), (enough, few)):
        with pytest.raises(ValueError, match="two clusters"):
            mean_difference(*arms)


def test_outreaches_of_unlike_size_are_pooled_within_themselves() -> None:
    # 1 against 3 with 2 and 2, 10 against 6 with 4 and 4: -2 and 4, weighed by 1 and 2.
    small = Sums.of([(0, 0), (2, 0)]), Sums.of([(2, 0), (4, 0)])
    large = Sums.of([(9, 0), (11, 0)] * 2), Sums.of([(5, 0), (7, 0)] * 2)
    found = pooled_means([small, large])
    assert found is not None
    assert found.difference == pytest.approx(2)
    # Variances of 1 twice and 1/3 twice, by the squares of 1/3 and 2/3.
    assert found.error == pytest.approx((2 / 9 + 4 / 9 * 2 / 3) ** 0.5)
    assert found.df == pytest.approx((14 / 27) ** 2 / (2 * (1 / 9) ** 2 / 1 + 2 * (4 / 27) ** 2 / 3))


def test_what_has_no_error_alone_is_left_out_of_a_pool() -> None:
    lone, enough = Sums.of([(9, 0)]), (Sums.of([(1, 0), (0, 0)]), Sums.of([(2, 0), (1, 0)]))
    assert pooled_means([(lone, lone), enough]) == mean_difference(*enough)
    assert pooled_means([(lone, lone)]) is None
