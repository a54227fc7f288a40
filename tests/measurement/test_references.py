"""Published numbers that several of our functions reach together."""

from math import sqrt

import pytest

from tellfirst.measurement.intervals import wilson
from tellfirst.measurement.numerics import chi_square_tail, normal_p
from tellfirst.measurement.pooling import Stratum, mantel_haenszel, mantel_haenszel_ratio
from tellfirst.measurement.sequential import confidence_margin
from tellfirst.measurement.srm import sample_ratio_p, split_p

# Admissions at Berkeley 1973 by department (R's UCBAdmissions): men and women, admitted and rejected.
BERKELEY = [
    (512, 313, 89, 19),
    (353, 207, 17, 8),
    (120, 205, 202, 391),
    (138, 279, 131, 244),
    (53, 138, 94, 299),
    (22, 351, 24, 317),
]


def test_rates_of_rare_events() -> None:
    # 60 in 51,477.5 person-years against 30 in 54,308.7: given all 90, the first is a share like any other.
    share = 51_477.5 / (51_477.5 + 54_308.7)
    ends = [p / (1 - p) * 54_308.7 / 51_477.5 for p in wilson(60, 90)]
    assert ends == pytest.approx([1.36596, 3.25931], abs=5.1e-6)
    assert sample_ratio_p(30, 60, share) == pytest.approx(0.000675, abs=5.1e-7)
    assert normal_p((60 - 90 * share) / sqrt(90 * share * (1 - share))) == pytest.approx(0.000632, abs=5.1e-7)


def test_a_relative_reading() -> None:
    # gbstats' own test: 1396 of 3000 against 2422 of 3461, the variance of the ratio by the delta method.
    p_c, p_t = 1_396 / 3_000, 2_422 / 3_461
    v_c, v_t = p_c * (1 - p_c) / 3_000, p_t * (1 - p_t) / 3_461
    lift, half = p_t / p_c - 1, confidence_margin(v_t / p_c**2 + v_c * p_t**2 / p_c**4, 6_461)
    assert (lift, lift - half, lift + half) == pytest.approx((0.50386, 0.40098, 0.60675), abs=5.1e-6)


def test_a_split_of_four_thousand() -> None:
    # tea-tasting's example data; its 0.477 has Yates's correction, which chi-square from 1,000 units on does not need.
    assert split_p([2_023, 1_977], [0.5, 0.5]) == pytest.approx(0.467, abs=5.1e-4)
    assert normal_p((23 - 0.5) / sqrt(1_000)) == pytest.approx(0.477, abs=5.1e-4)


def test_pooling_by_department_turns_the_sum_round() -> None:
    strata = [Stratum(events_t=a, n_t=a + b, events_c=c, n_c=c + d) for a, b, c, d in BERKELEY]
    men, women = (sum(one.events_t for one in strata), sum(one.events_c for one in strata))
    crude = men / sum(one.n_t for one in strata) - women / sum(one.n_c for one in strata)
    pooled, ratio = mantel_haenszel(strata), mantel_haenszel_ratio(strata)
    assert pooled is not None
    assert ratio is not None
    assert ratio.ratio is not None
    assert pooled.difference < 0 < crude
    assert ratio.ratio < 1
    assert pooled.low < 0 < pooled.high
    # The test of Cochran, Mantel and Haenszel is the pooled difference against its error if there were none.
    excess = sum((a * (c + d) - c * (a + b)) / (a + b + c + d) for a, b, c, d in BERKELEY)
    spread = sum(
        (a + b) * (c + d) * (a + c) * (b + d) / ((n := a + b + c + d) ** 2 * (n - 1)) for a, b, c, d in BERKELEY
    )
    assert (abs(excess) - 0.5) ** 2 / spread == pytest.approx(1.4269, abs=5.1e-5)
    assert chi_square_tail((abs(excess) - 0.5) ** 2 / spread, 1) == pytest.approx(0.2323, abs=5.1e-5)
    assert excess**2 / spread == pytest.approx(1.5246, abs=5.1e-5)
    assert chi_square_tail(excess**2 / spread, 1) == pytest.approx(0.2169, abs=5.1e-5)


def test_the_odds_ratio_is_an_oracles() -> None:
    # We report differences and ratios, and no odds; this shows that the tables above are the published ones.
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    found = tables.StratifiedTable([[[a, b], [c, d]] for a, b, c, d in BERKELEY])
    assert found.oddsratio_pooled == pytest.approx(0.9046968, abs=5.1e-8)
    assert found.oddsratio_pooled_confint() == pytest.approx((0.7719074, 1.0603298), abs=5.1e-8)
