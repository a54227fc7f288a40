"""Intervals for shares and for their difference; the textbook (Wald) interval is wrong for small hold-outs."""

from math import sqrt

from tellfirst.domain.base import Frozen
from tellfirst.measurement.numerics import two_sided


class Difference(Frozen):
    """Is the difference of two shares and its interval, as fractions from -1 to 1."""

    difference: float
    low: float
    high: float


def wilson(events: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Returns the score interval (low, high) of the share events/n, as fractions from 0 to 1.

    Source: Wilson 1927; Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3, without continuity correction.
    Raises ValueError unless n is at least 1, 0 <= events <= n, and level lies between 0 and 1.
    """
    check_counts(events, n)
    z = two_sided(level)
    middle = 2 * events + z * z
    half = z * sqrt(z * z + 4 * events * (n - events) / n)
    scale = 2 * (n + z * z)
    # The ends are exact where nobody or everybody did; rounding must not say otherwise.
    low = 0.0 if events == 0 else (middle - half) / scale
    high = 1.0 if events == n else (middle + half) / scale
    return low, high


def newcombe(events_t: int, n_t: int, events_c: int, n_c: int, level: float = 0.95) -> Difference:
    """Returns treated minus control, events_t/n_t - events_c/n_c, with its hybrid score interval.

    The Wilson limits of each share are combined as squared distances. Covers about 95 % already at 27 against 3.
    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10. Raises ValueError as `wilson` does.
    """
    low_t, high_t = wilson(events_t, n_t, level)
    low_c, high_c = wilson(events_c, n_c, level)
    p_t, p_c = events_t / n_t, events_c / n_c
    difference = p_t - p_c
    return Difference(
        difference=difference,
        low=max(-1.0, difference - sqrt((p_t - low_t) ** 2 + (high_c - p_c) ** 2)),
        high=min(1.0, difference + sqrt((high_t - p_t) ** 2 + (p_c - low_c) ** 2)),
    )


def check_counts(events: int, n: int) -> None:
    """Raises ValueError unless `events` of `n` units is a share: n at least 1, 0 <= events <= n."""
    if n < 1:
        raise ValueError("a share needs at least one unit")
    if not 0 <= events <= n:
        raise ValueError(f"{events} of {n} units is not a share: events lie from 0 to the number of units")
