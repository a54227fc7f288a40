"""Readings while a window is open: bounds that hold at every look, for whoever looks every morning.

A fixed interval holds for one look. Looked at 99 times it shows an effect that is not there more than every third time.
"""

from math import log, log1p, sqrt

from tellfirst.domain.base import Frozen
from tellfirst.measurement.intervals import Difference, check_counts

SHARPEST_AT = 5_000
"""The number of clusters at which the bounds are narrowest where none is planned: 1.55 times a fixed interval there."""

EARLY = 100
"""Fewer contacted accounts in both arms and the bounds, which hold for many, need not hold: no early reading."""


class Reading(Frozen):
    """Is one look while the window is open; `now` is None when it is too early to say anything."""

    now: Difference | None
    contacted: int


def confidence_margin(variance: float, n: int, *, sharpest_at: float = SHARPEST_AT, level: float = 0.95) -> float:
    """Returns the half width, in the unit of the estimate, that holds at all looks together with probability `level`.

    `variance` is that of the estimate now, from `n` units in both arms; `sharpest_at` is the number of units planned.
    Raises ValueError unless variance >= 0, n >= 1, sharpest_at > 0 and 0 < level < 1. Source: Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas, Annals of Statistics 52 (2024) 2613-2640, the asymptotic confidence sequence.
    """
    if not 0 < level < 1 or not sharpest_at > 0:
        raise ValueError("a level lies between 0 and 1, and the planned number of units above 0")
    alpha = 1 - level
    rho2 = (-2 * log(alpha) + log1p(-2 * log(alpha))) / sharpest_at
    return mixture_margin(n, rho2, level) * sqrt(_variance(variance) * n)


def mixture_margin(n: int, rho2: float, level: float = 0.95) -> float:
    """Returns the half width for the mean of `n` values of variance 1, by a normal mixture of variance `rho2`.

    Raises ValueError unless n >= 1, rho2 > 0 and 0 < level < 1. Source: as `confidence_margin`, theorem 2.2.
    """
    if n < 1 or not rho2 > 0 or not 0 < level < 1:
        raise ValueError("a margin needs a unit, a mixture variance above 0 and a level between 0 and 1")
    grown = n * rho2 + 1
    return sqrt(2 * grown * log(sqrt(grown) / (1 - level))) / (n * sqrt(rho2))


def reading(
    events_t: int, n_t: int, events_c: int, n_c: int, *, sharpest_at: float = SHARPEST_AT, level: float = 0.95
) -> Reading:
    """Returns events_t/n_t - events_c/n_c (fractions) with bounds that hold however often one looks before the close.

    Count only clusters whose own window is over, in both arms. No bounds below 100 contacted in both together, nor
    while nobody or everybody of an arm did. Raises ValueError as `wilson` does and as `confidence_margin` does.
    """
    check_counts(events_t, n_t)
    check_counts(events_c, n_c)
    p_t, p_c = events_t / n_t, events_c / n_c
    contacted = events_t + events_c
    if contacted < EARLY or not 0 < p_t < 1 or not 0 < p_c < 1:
        return Reading(now=None, contacted=contacted)
    difference = p_t - p_c
    variance = careful_variance(events_t, n_t, events_c, n_c)
    half = confidence_margin(variance, n_t + n_c, sharpest_at=sharpest_at, level=level)
    now = Difference(difference=difference, low=max(-1.0, difference - half), high=min(1.0, difference + half))
    return Reading(now=now, contacted=contacted)


def careful_variance(events_t: int, n_t: int, events_c: int, n_c: int) -> float:
    """Returns the variance of the difference of two shares, or that of one share for both arms where it is larger.

    Of few held out it is estimated too small just where few of them made contact. Raises ZeroDivisionError for an
    empty arm.
    """
    p_t, p_c, p = events_t / n_t, events_c / n_c, (events_t + events_c) / (n_t + n_c)
    return max(p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c, p * (1 - p) * (1 / n_t + 1 / n_c))


def _variance(given: float) -> float:
    if not given >= 0:
        raise ValueError("a variance is no less than 0")
    return given
