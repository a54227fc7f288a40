"""Rates and means as they stand beside the main figure: by arm, each with what it is of and its interval."""

from collections.abc import Sequence
from math import sqrt

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import Sums
from tellfirst.measurement.intervals import Difference, newcombe, wilson
from tellfirst.measurement.numerics import t_two_sided
from tellfirst.measurement.pooling import Stratum, mantel_haenszel


class Rate(Frozen):
    """Is `events` of `n` with its share (0 to 1) and 95 % interval; None without anybody, or where it is withheld."""

    events: int
    n: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None


class ByArm(Frozen):
    """Is one rate in both arms; `difference`, treated minus control, is pooled within outreaches, None where withheld.

    The rates are those of all accounts together: over outreaches of unlike hold-outs they may differ by something else.
    """

    treated: Rate
    control: Rate
    difference: Difference | None = None


class Mean(Frozen):
    """Is a mean over `n` with its 95 % interval, None for fewer than 2."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


def rate(events: int, n: int) -> Rate:
    """Returns the share of `events` of `n` with Wilson's interval; raises ValueError as `wilson` does."""
    if not n:
        return Rate(events=events, n=n)
    low, high = wilson(events, n)
    return Rate(events=events, n=n, rate=events / n, low=low, high=high)


def by_arm(strata: Sequence[Stratum], *, compared: bool) -> ByArm:
    """Returns a rate in both arms, with its difference where the draw lets them be `compared`.

    One stratum by Newcombe, several by Mantel and Haenszel, as the main figure is.
    """
    difference = None
    used = [one for one in strata if one.n_t and one.n_c]
    if compared and len(used) == 1:
        difference = newcombe(used[0].events_t, used[0].n_t, used[0].events_c, used[0].n_c)
    elif compared and (found := mantel_haenszel(used)):
        difference = Difference(difference=found.difference, low=found.low, high=found.high)
    return ByArm(
        treated=rate(sum(one.events_t for one in strata), sum(one.n_t for one in strata)),
        control=rate(sum(one.events_c for one in strata), sum(one.n_c for one in strata)),
        difference=difference,
    )


def mean(sums: Sequence[Sums]) -> Mean:
    """Returns the mean of all `sums` together with its interval by Student's t."""
    n, y, yy = sum(one.n for one in sums), sum(one.y for one in sums), sum(one.yy for one in sums)
    if n < 2:
        return Mean(n=n, value=y / n if n else None)
    half = t_two_sided(0.95, n - 1) * sqrt(max(0.0, yy - y * y / n) / (n - 1) / n)
    return Mean(n=n, value=y / n, low=max(0.0, y / n - half), high=y / n + half)
