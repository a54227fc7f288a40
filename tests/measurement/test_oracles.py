"""Our own formulas beside statsmodels and scipy over random tables; where those are wrong, the tests say so."""

import random
from decimal import Decimal, localcontext

import numpy as np
import pytest

from tellfirst.domain.figures import Sums
from tellfirst.measurement.intervals import newcombe, wilson
from tellfirst.measurement.means import mean_difference
from tellfirst.measurement.multiple import benjamini_hochberg
from tellfirst.measurement.numerics import chi_square_tail, t_p, t_two_sided
from tellfirst.measurement.scores import difference_p, koopman, miettinen_nurminen
from tellfirst.measurement.srm import EXACT_BELOW, sample_ratio_p, split_p
from tests.figures import Figure
from tests.measurement.tables import TABLES, Z, score_of_difference, tables

stats = pytest.importorskip("scipy.stats")
proportion = pytest.importorskip("statsmodels.stats.proportion")
multitest = pytest.importorskip("statsmodels.stats.multitest")

EXACT = 1e-9
PAIRS = 150


def worst(ours: object, theirs: object) -> float:
    return float(np.max(np.abs(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float))))


def test_shares_and_their_difference(figure: Figure) -> None:
    found = tables(1)
    x1, n1, *_ = (np.array(column) for column in zip(*found, strict=True))
    far = worst(
        [wilson(x, n) for x, n, _, _ in found], np.transpose(proportion.proportion_confint(x1, n1, 0.05, "wilson"))
    )
    ours = [newcombe(*table) for table in found]
    theirs = [proportion.confint_proportions_2indep(*table, method="newcomb", compare="diff") for table in found]
    # statsmodels lets the interval of a full against an empty arm pass 1.
    apart = worst([(one.low, one.high) for one in ours], np.clip(theirs, -1, 1))
    figure(f"{TABLES:,} tables beside statsmodels: Wilson within {far:.0e}, Newcombe within {apart:.0e}")
    assert max(far, apart) < EXACT


def test_score_intervals_of_differences(figure: Figure) -> None:
    # No library is right here, so the ends are held against the score test itself, its likelihood maximised otherwise.
    found = tables(2)
    ours = [miettinen_nurminen(*table) for table in found]
    far = 0.0
    for ends, sign in (([one.low for one in ours], 1), ([one.high for one in ours], -1)):
        kept = [(table, end) for table, end in zip(found, ends, strict=True) if abs(end) < 1]
        some, end = [table for table, _ in kept], np.array([end for _, end in kept])
        step = np.minimum(1e-6, (1 - np.abs(end)) / 4)
        slope = (score_of_difference(some, end + step) - score_of_difference(some, end - step)) / (2 * step)
        far = max(far, float(np.max(np.abs((score_of_difference(some, end) - sign * Z) / slope))))
    figure(f"{TABLES:,} tables beside the score test solved another way: Miettinen-Nurminen within {far:.0e}")
    assert far < EXACT


def test_the_test_of_no_difference() -> None:
    found = [table for table in tables(3) if 0 < table[0] + table[2] < table[1] + table[3]]
    with np.errstate(divide="ignore", invalid="ignore"):  # it divides by empty cells too
        theirs = [
            proportion.test_proportions_2indep(*table, value=0, compare="diff", method="score", correction=True).pvalue
            for table in found[:2_000]
        ]
    assert worst([difference_p(*table) for table in found[:2_000]], theirs) < EXACT
    x1, n1, x0, n0 = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    pooled, n = (x1 + x0) / (n1 + n0), n1 + n0
    z = (x1 / n1 - x0 / n0) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0) * n / (n - 1))
    assert worst([difference_p(*table) for table in found], 2 * stats.norm.sf(np.abs(z))) < EXACT


def score_of_ratio(table: tuple[int, int, int, int], ratio: float) -> float:
    """Returns the score statistic in 50 digits, so that nothing that cancels is lost."""
    with localcontext() as context:
        context.prec = 50
        x1, n1, x0, n0, r = (Decimal(number) for number in (*table, ratio))
        a, b, c = (n1 + n0) * r, n1 * r + x1 + n0 + x0 * r, x1 + x0
        q0 = (b - (b * b - 4 * a * c).sqrt()) / (2 * a)
        variance = r * q0 * (1 - r * q0) / n1 + r * r * q0 * (1 - q0) / n0
        return float((x1 / n1 - r * x0 / n0) / variance.sqrt())


def test_score_intervals_of_ratios(figure: Figure) -> None:
    wrong, far = 0, 0.0
    # Without empty and full cells: there the oracle has no bound or divides by zero.
    found = [one for one in tables(4, 3 * TABLES) if 0 < one[0] < one[1] and 0 < one[2] < one[3]][:TABLES]
    assert len(found) == TABLES
    for table in found:
        ours = koopman(*table)
        assert ours.high is not None
        theirs = proportion.confint_proportions_2indep(*table, method="score", compare="ratio", correction=False)
        for end, other, z in ((ours.low, theirs[0], Z), (ours.high, theirs[1], -Z)):
            apart = abs(end - other) / max(1, other)
            if apart < EXACT:
                far = max(far, apart)
                continue
            # statsmodels takes the root of its quadratic where it cancels, when nearly all of control did it.
            wrong += 1
            assert abs(score_of_ratio(table, end) - z) < 1e-10 < abs(score_of_ratio(table, other) - z)
    figure(
        f"{TABLES:,} tables beside statsmodels: Koopman within {far:.0e}, but for {wrong} of the {2 * TABLES:,} ends"
        " where 50 digits show that statsmodels lost some"
    )
    assert wrong < TABLES / 50


def test_statsmodels_is_no_oracle_for_score_intervals_of_differences() -> None:
    # https://github.com/statsmodels/statsmodels/issues/10269: count0 stands where nobs0 should.
    theirs = proportion.confint_proportions_2indep(56, 70, 48, 80, method="score", compare="diff")
    assert theirs == pytest.approx((0.0526, 0.3440), abs=5.1e-5)
    assert miettinen_nurminen(56, 70, 48, 80).high == pytest.approx(0.3382, abs=5.1e-5)
    for table in ((9, 10, 3, 10), (6, 7, 2, 7), (5, 56, 0, 29)):
        with np.errstate(all="ignore"), pytest.raises(ValueError):
            proportion.confint_proportions_2indep(*table, method="score", compare="diff")


def test_the_sample_ratio_of_two_arms() -> None:
    chance = random.Random(5)
    for _ in range(TABLES // 5):
        n, share = chance.randint(1, EXACT_BELOW - 1), chance.choice([0.5, 0.1, 0.02, 0.3])
        control = sum(chance.random() < share for _ in range(n)) if n < 40 else min(n, round(n * share) + n % 37 - 18)
        control = max(0, control)
        assert sample_ratio_p(n - control, control, share) == pytest.approx(
            stats.binomtest(control, n, share).pvalue, abs=EXACT
        )


def test_the_sample_ratio_of_many_units_and_arms() -> None:
    chance = random.Random(6)
    for _ in range(TABLES // 5):
        shares = np.array([chance.uniform(0.1, 1) for _ in range(chance.randint(2, 7))])
        shares /= shares.sum()
        n = chance.randint(2_000, 1_000_000)
        counts = [max(0, round(n * share + chance.gauss(0, 1) * (n * share) ** 0.5)) for share in shares]
        theirs = stats.chisquare(counts, sum(counts) * shares).pvalue
        assert split_p(counts, shares.tolist()) == pytest.approx(theirs, abs=EXACT)


def test_means(figure: Figure) -> None:
    linear = pytest.importorskip("statsmodels.api")
    chance, far = np.random.default_rng(7), 0.0
    for round_ in range(PAIRS):
        n_t, n_c = chance.integers(2, 60, 2)
        before_t, before_c = chance.poisson(2, n_t), chance.poisson(2, n_c)
        after_t, after_c = chance.poisson(0.2 + before_t / 2), chance.poisson(0.4 + before_c / 2)
        if np.ptp(after_t) == 0 or np.ptp(after_c) == 0:
            continue
        arms = Sums.of(zip(after_t, before_t, strict=True)), Sums.of(zip(after_c, before_c, strict=True))
        theirs = stats.ttest_ind(after_t, after_c, equal_var=False)
        bounds = theirs.confidence_interval()
        ours = mean_difference(*arms)
        far = max(far, worst((ours.low, ours.high, ours.p, ours.df), (*bounds, theirs.pvalue, theirs.df)))
        if round_ % 10 or np.ptp([*before_t]) == 0 or n_t + n_c < 8:
            continue
        columns = np.column_stack([np.ones(n_t + n_c), [1] * n_t + [0] * n_c, [*before_t, *before_c]])
        fit = linear.OLS(np.concatenate([after_t, after_c]), columns).fit()
        sharp = mean_difference(*arms, adjust=True)
        far = max(far, worst((sharp.difference, sharp.theta), fit.params[1:]))
        robust = linear.OLS(np.concatenate([after_t, after_c]), columns[:, :2]).fit(cov_type="HC2")
        far = max(far, worst(ours.error, robust.bse[1]))
        left = stats.ttest_ind(after_t - sharp.theta * before_t, after_c - sharp.theta * before_c, equal_var=False)
        far = max(far, worst((sharp.low, sharp.high), left.confidence_interval()))
    figure(f"{PAIRS} pairs of arms beside scipy and statsmodels: means within {far:.0e}")
    assert far < EXACT


def test_many_reasons() -> None:
    chance = np.random.default_rng(8)
    for _ in range(TABLES // 4):
        p = chance.random(chance.integers(1, 40)) ** 3
        p[0] = chance.choice(p)  # ties too
        theirs = multitest.multipletests(p, method="fdr_bh")[1]
        assert worst(benjamini_hochberg(p.tolist()), theirs) < EXACT


def test_quantiles_and_tails() -> None:
    degrees = [1, 1.7, 3, 12.25, 80, 999, 9_999, 10_000, 12_345.6, 1e6]
    for df in degrees:
        for level in (0.5, 0.9, 0.95, 0.99, 0.999):
            assert t_two_sided(level, df) == pytest.approx(stats.t.isf((1 - level) / 2, df), rel=EXACT)
        for t in (0, 1e-6, 0.3, -2, 7, 40):
            assert t_p(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-8, abs=1e-300)
    for df in range(1, 25):
        for x in (0, 1e-9, 0.3, 4, 30, 400):
            assert chi_square_tail(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=EXACT)
