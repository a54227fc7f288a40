"""The few quantiles and tails that intervals need and the standard library lacks; computed, never looked up."""

from collections.abc import Callable
from math import erfc, exp, gamma, lgamma, log, log1p, sqrt
from statistics import NormalDist

_CLOSE = 1e-16
_TINY = 1e-300
_NEARLY_NORMAL = 10_000


def two_sided(level: float) -> float:
    """Returns the normal quantile z that leaves half of 1 - `level` on either side: 1.96 for 0.95.

    Raises ValueError unless `level` lies between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError("the level of an interval lies between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def normal_p(z: float) -> float:
    """Returns the two-sided probability (0 to 1) of a standard normal at least as far from 0 as `z`."""
    return erfc(abs(z) / sqrt(2))


def chi_square_tail(x: float, df: int) -> float:
    """Returns the probability (0 to 1) that chi-square with `df` whole degrees of freedom exceeds `x`.

    A finite sum. Raises ValueError unless `x` is at least 0 and `df` at least 1.
    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if df < 1 or not x >= 0:
        raise ValueError("chi-square has at least one degree of freedom and no negative value")
    half, odd = x / 2, df % 2
    total = erfc(sqrt(half)) if odd else 0.0
    if not half:
        return 1.0
    term = exp(log(half) * odd / 2 - half) / gamma(1 + odd / 2)
    for k in range((df - odd) // 2):
        total += term
        term *= half / (k + 1 + odd / 2)
    return min(1.0, total)


def t_p(t: float, df: float) -> float:
    """Returns the two-sided probability (0 to 1) of Student's t with `df` degrees of freedom at least as far as `t`.

    Raises ValueError unless `df` is above 0. Source: Abramowitz and Stegun, 26.7.1 with 26.5.8.
    """
    if not df > 0:
        raise ValueError("Student's t has more than 0 degrees of freedom")
    rest = t * t / (df + t * t)
    return _beta(1 - rest, rest, df / 2, 0.5)


def t_two_sided(level: float, df: float) -> float:
    """Returns the quantile of Student's t that leaves half of 1 - `level` on either side; raises as its kin do.

    Source: `t_p` turned round by halving; from 10,000 degrees of freedom Abramowitz and Stegun, 26.7.5.
    """
    z = two_sided(level)
    if df >= _NEARLY_NORMAL:
        return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    far = z
    while t_p(far, df) > 1 - level:
        far *= 2
    return halve(lambda t: t_p(t, df) - (1 - level), 0.0, far)


def halve(falling: Callable[[float], float], low: float, high: float) -> float:
    """Returns where `falling` passes 0 between `low` and `high`, to the last digit that a float holds."""
    while low < (middle := (low + high) / 2) < high:
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return high


def _beta(x: float, rest: float, a: float, b: float) -> float:
    """Returns the regularised incomplete beta function at `x`; `rest` is 1 - x, given so that it is not rounded."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(rest, x, b, a)
    logx, logrest = (log(x), log1p(-x)) if x < rest else (log1p(-rest), log(rest))
    front = exp(a * logx + b * logrest + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    # The continued fraction, evaluated forwards after Lentz.
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or _TINY)
    fraction, m = d, 0
    while True:
        m += 1
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / ((1 + part * d) or _TINY)
            c = (1 + part / c) or _TINY
            fraction *= c * d
        if abs(c * d - 1) <= 4 * _CLOSE or m > _NEARLY_NORMAL:
            return front * fraction
