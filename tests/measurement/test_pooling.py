from math import log, sqrt

import pytest

from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.pooling import Stratum, heterogeneity, mantel_haenszel, mantel_haenszel_ratio

# Thirteen trials of the BCG vaccine (Colditz et al., JAMA 271 (1994) 698-702): cases and others, vaccinated and not.
BCG = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13_536, 248, 12_619),
    (33, 5_036, 47, 5_761),
    (180, 1_361, 372, 1_079),
    (8, 2_537, 10, 619),
    (505, 87_886, 499, 87_892),
    (29, 7_470, 45, 7_232),
    (17, 1_699, 65, 1_600),
    (186, 50_448, 141, 27_197),
    (5, 2_493, 3, 2_338),
    (27, 16_886, 29, 17_825),
]
TRIALS = [Stratum(events_t=a, n_t=a + b, events_c=c, n_c=c + d) for a, b, c, d in BCG]


def stratum(*counts: int) -> Stratum:
    return Stratum(**dict(zip(("events_t", "n_t", "events_c", "n_c"), counts, strict=True)))


def test_the_pooled_difference_is_the_published_one() -> None:
    found = mantel_haenszel(TRIALS)
    assert found is not None
    assert (found.difference, found.error) == pytest.approx((-0.003288, 0.000287), abs=5.1e-7)
    assert found.low == pytest.approx(found.difference - 1.959964 * found.error)
    assert (found.strata, found.left_out) == (13, 0)


def test_the_pooled_ratio_is_the_published_one() -> None:
    found = mantel_haenszel_ratio(TRIALS)
    assert found is not None
    assert found.ratio is not None
    assert found.high is not None
    assert (found.ratio, found.low, found.high) == pytest.approx((0.6353, 0.5881, 0.6862), abs=5.1e-5)
    assert log(found.ratio) == pytest.approx(-0.4537, abs=5.1e-5)
    assert log(found.high / found.low) / 2 / 1.959964 == pytest.approx(0.0393, abs=5.1e-5)


def test_how_much_the_trials_differ_is_the_published_figure() -> None:
    effects = [
        (
            log(one.events_t / one.n_t * one.n_c / one.events_c),
            sqrt(1 / one.events_t - 1 / one.n_t + 1 / one.events_c - 1 / one.n_c),
        )
        for one in TRIALS
    ]
    found = heterogeneity(effects)
    assert (found.tau2, found.q) == pytest.approx((0.3088, 152.2330), abs=5.1e-5)
    assert (found.mean, found.error, found.low, found.high) == pytest.approx(
        (-0.7141, 0.1787, -1.0644, -0.3638), abs=5.1e-5
    )
    assert found.i2 == pytest.approx(0.9212, abs=5.1e-5)
    assert found.next_low < found.low < found.high < found.next_high
    weights = [error**-2 for _, error in effects]
    fixed = sum(w * effect for w, (effect, _) in zip(weights, effects, strict=True)) / sum(weights)
    assert (fixed, sum(weights) ** -0.5) == pytest.approx((-0.4303, 0.0405), abs=5.1e-5)
    assert found.p < 1e-20


def test_effects_that_are_alike_do_not_differ() -> None:
    found = heterogeneity([(0.1, 0.02), (0.1, 0.05)])
    assert (found.q, found.tau2, found.i2, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert (found.next_low, found.next_high) == (found.low, found.high)


def test_one_stratum_is_its_own_difference() -> None:
    found = mantel_haenszel([stratum(50, 900, 12, 100)])
    assert found is not None
    assert found.difference == pytest.approx(newcombe(50, 900, 12, 100).difference)


def test_an_empty_arm_compares_nothing_and_is_counted() -> None:
    strata = [stratum(50, 900, 12, 100), stratum(3, 7, 0, 0), stratum(0, 0, 1, 4)]
    found, alone = mantel_haenszel(strata), mantel_haenszel(strata[:1])
    assert found is not None
    assert alone is not None
    assert (found.difference, found.error) == (alone.difference, alone.error)
    assert (found.strata, found.left_out) == (1, 2)
    assert mantel_haenszel(strata[1:]) is None
    assert mantel_haenszel([]) is None


def test_no_ratio_without_contacts_in_both_arms() -> None:
    assert mantel_haenszel_ratio([stratum(0, 10, 3, 10)]) is None
    assert mantel_haenszel_ratio([stratum(3, 10, 0, 10)]) is None
    assert mantel_haenszel_ratio([stratum(3, 10, 0, 0)]) is None


@pytest.mark.parametrize("counts", [(6, 5, 1, 5), (1, 5, -1, 5), (1, 0, 1, 5)])
def test_impossible_counts_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        mantel_haenszel([stratum(*counts)])


@pytest.mark.parametrize("effects", [[], [(0.1, 0.2)], [(0.1, 0.2), (0.2, 0.0)]])
def test_less_than_two_effects_cannot_differ(effects: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="takes two effects"):
        heterogeneity(effects)
