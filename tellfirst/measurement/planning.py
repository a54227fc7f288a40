"""Before the outreach: how many accounts it takes to see an effect, and how large a hold-out lets one see."""

from math import ceil, sqrt
from statistics import NormalDist

from tellfirst.domain.base import Frozen
from tellfirst.measurement.numerics import halve, two_sided


class Size(Frozen):
    """Is how many clusters each arm needs."""

    treated: int
    control: int


class Detectable(Frozen):
    """Is the smallest change of the share that would be seen, as fractions above 0.

    `drop` is None when not even a fall to 0 would be seen, `rise` when not even a rise to 1 would.
    """

    drop: float | None
    rise: float | None


def sample_size(
    share_c: float, share_t: float, *, holdout: float = 0.5, power: float = 0.8, level: float = 0.95
) -> Size:
    """Returns the clusters per arm with which a fall or rise from `share_c` to `share_t` is seen with `power`.

    All are fractions; `holdout` is the share of all that is control. Two-sided. Raises ValueError unless the two
    shares differ and all lie between 0 and 1. Source: Fleiss, Levin and Paik, Statistical Methods for Rates and
    Proportions, 3rd edition, chapter 4, without continuity correction: pooled under the null, unequal arms.
    """
    _check(share_c, holdout, power)
    if not 0 <= share_t <= 1 or share_t == share_c:
        raise ValueError("the share of the treated lies from 0 to 1 and differs from that of control")
    ratio = (1 - holdout) / holdout
    control = (_needed(share_c, share_t, ratio, power, level) / (share_t - share_c)) ** 2
    return Size(treated=ceil(control * ratio), control=ceil(control))


def detectable(n_t: int, n_c: int, share_c: float, *, power: float = 0.8, level: float = 0.95) -> Detectable:
    """Returns what `n_t` treated and `n_c` control clusters see with `power`, when `share_c` of control contact.

    The formula of `sample_size`, solved for the share of the treated; raises ValueError as it does, and for an empty
    arm.
    """
    if n_t < 1 or n_c < 1:
        raise ValueError("an arm without clusters sees nothing")
    _check(share_c, n_c / (n_t + n_c), power)

    def hidden(change: float) -> float:
        needed = _needed(share_c, share_c + change, n_t / n_c, power, level) / sqrt(n_c)
        return needed - abs(change)

    drop = halve(lambda change: hidden(-change), 0.0, share_c) if hidden(-share_c) <= 0 else None
    rise = halve(hidden, 0.0, 1 - share_c) if hidden(1 - share_c) <= 0 else None
    return Detectable(drop=drop, rise=rise)


def _needed(share_c: float, share_t: float, ratio: float, power: float, level: float) -> float:
    pooled = (share_c + ratio * share_t) / (1 + ratio)
    alike = sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    apart = sqrt(share_c * (1 - share_c) + max(0.0, share_t * (1 - share_t)) / ratio)
    return two_sided(level) * alike + NormalDist().inv_cdf(power) * apart


def _check(share_c: float, holdout: float, power: float) -> None:
    if not all(0 < share < 1 for share in (share_c, holdout, power)):
        raise ValueError("the share of control, the hold-out and the power lie between 0 and 1")
