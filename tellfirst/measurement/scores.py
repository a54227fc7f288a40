"""Score intervals: every value that a test of two shares does not refuse. A check for small numbers, and the ratio."""

from math import acos, copysign, cos, inf, pi, sqrt

from tellfirst.domain.base import Frozen
from tellfirst.measurement.intervals import Difference, check_counts
from tellfirst.measurement.numerics import halve, normal_p, two_sided


class Ratio(Frozen):
    """Is the ratio of two shares, treated over control, and its interval, from 0; None where it has no bound.

    `ratio` is None when nobody in control did it, `high` then too.
    """

    ratio: float | None
    low: float
    high: float | None


def miettinen_nurminen(events_t: int, n_t: int, events_c: int, n_c: int, level: float = 0.95) -> Difference:
    """Returns treated minus control, events_t/n_t - events_c/n_c, with its score interval, as fractions from -1 to 1.

    The interval holds every difference that the score test of likelihood-restricted shares does not refuse. Source:
    Miettinen and Nurminen, Statistics in Medicine 4 (1985) 213-226, with their N/(N-1). Raises ValueError as `wilson`.
    """
    check_counts(events_t, n_t)
    check_counts(events_c, n_c)
    z = two_sided(level)
    difference = events_t / n_t - events_c / n_c
    low = halve(lambda delta: _score(events_t, n_t, events_c, n_c, delta) - z, -1.0, difference)
    high = -halve(lambda delta: _score(events_c, n_c, events_t, n_t, delta) - z, -1.0, -difference)
    return Difference(difference=difference, low=low, high=high)


def difference_p(events_t: int, n_t: int, events_c: int, n_c: int) -> float:
    """Returns the two-sided probability (0 to 1) of shares at least this different when both arms are alike.

    The score test at zero, Pearson's chi-square times (N-1)/N. Raises ValueError as `wilson` does.
    """
    check_counts(events_t, n_t)
    check_counts(events_c, n_c)
    return normal_p(_score(events_t, n_t, events_c, n_c, 0.0))


def koopman(events_t: int, n_t: int, events_c: int, n_c: int, level: float = 0.95) -> Ratio:
    """Returns the ratio of the shares, (events_t/n_t) / (events_c/n_c), with its score interval.

    Finite also where nobody of the treated did it. Source: Koopman, Biometrics 40 (1984) 513-517.
    Raises ValueError as `wilson` does.
    """
    check_counts(events_t, n_t)
    check_counts(events_c, n_c)
    z = two_sided(level)
    below = _least_ratio(events_t, n_t, events_c, n_c, z)
    above = _least_ratio(events_c, n_c, events_t, n_t, z)
    ratio = (events_t / n_t) / (events_c / n_c) if events_c else None
    return Ratio(ratio=ratio, low=below, high=1 / above if above else None)


def _score(x1: int, n1: int, x0: int, n0: int, delta: float) -> float:
    """Returns how many standard errors, as they would be if it held, the difference lies above `delta`."""
    excess = x1 / n1 - x0 / n0 - delta
    p1 = _restricted(x1, n1, x0, n0, delta)
    p0 = min(1.0, max(0.0, p1 - delta))
    n = n1 + n0
    variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0) * n / (n - 1)
    return _in_errors(excess, variance)


def _in_errors(excess: float, variance: float) -> float:
    if not excess:
        return 0.0
    return excess / sqrt(variance) if variance > 0 else copysign(inf, excess)


def _restricted(x1: int, n1: int, x0: int, n0: int, delta: float) -> float:
    """Returns the likeliest share of the first arm when it is `delta` above the second's: a root of a cubic."""
    theta, p1, p0 = n0 / n1, x1 / n1, x0 / n0
    a = 1 + theta
    b = -(a + p1 + theta * p0 + delta * (theta + 2))
    c = delta * delta + delta * (2 * p1 + a) + p1 + theta * p0
    d = -p1 * delta * (1 + delta)
    third = b / (3 * a)
    v = third**3 - b * c / (6 * a * a) + d / (2 * a)
    u = copysign(sqrt(max(0.0, third * third - c / (3 * a))), v)
    angle = acos(min(1.0, max(-1.0, v / u**3))) if u else 0.0
    share = 2 * u * cos((pi + angle) / 3) - third
    return min(1.0, 1 + delta, max(0.0, delta, share))


def _least_ratio(x1: int, n1: int, x0: int, n0: int, z: float) -> float:
    if not x1:
        return 0.0
    p1, p0 = x1 / n1, x0 / n0

    def score(ratio: float) -> float:
        a, b, c = (n1 + n0) * ratio, n1 * ratio + x1 + n0 + x0 * ratio, x1 + x0
        # The smaller root of the quadratic, without taking apart what nearly cancels.
        q0 = 2 * c / (b + sqrt(max(0.0, b * b - 4 * a * c)))
        q1 = ratio * q0
        variance = q1 * (1 - q1) / n1 + ratio * ratio * q0 * (1 - q0) / n0
        return _in_errors(p1 - ratio * p0, variance) - z

    # When nobody in the other arm did it there is no ratio to start from; doubling finds one that is refused.
    most = p1 / p0 if x0 else 1.0
    while score(most) > 0:
        most *= 2
    return halve(score, 0.0, most)
