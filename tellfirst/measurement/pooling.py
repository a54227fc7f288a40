"""Many small comparisons as one: each outreach is compared within itself, and only the comparisons are put together.

Adding up raw counts instead mixes up outreaches whose hold-outs differ: where risk and hold-out are larger together,
the sum shows an effect that is not there.
"""

from collections.abc import Sequence
from math import exp, log, sqrt

from tellfirst.domain.base import Frozen
from tellfirst.measurement.intervals import Difference, check_counts
from tellfirst.measurement.numerics import chi_square_tail, two_sided
from tellfirst.measurement.scores import Ratio


class Stratum(Frozen):
    """Is one comparison: clusters, and those of them who contacted, per arm; all drawn with one hold-out share."""

    events_t: int
    n_t: int
    events_c: int
    n_c: int


class Pooled(Difference):
    """Is a pooled difference, as a fraction from -1 to 1, its standard error, and how many strata gave to it."""

    error: float
    strata: int
    left_out: int
    """Strata of which one arm is empty: they compare nothing."""


class Spread(Frozen):
    """Is how much several effects differ, and their mean if they differ by chance alone or by their nature.

    `q` with its probability `p`, the variance `tau2` between them, and the share `i2` (0 to 1) of what is seen that
    chance does not explain. `low` and `high` bound the mean effect, `next_low` and `next_high` a further one.
    """

    q: float
    p: float
    tau2: float
    i2: float
    mean: float
    error: float
    low: float
    high: float
    next_low: float
    next_high: float


def mantel_haenszel(strata: Sequence[Stratum], level: float = 0.95) -> Pooled | None:
    """Returns treated minus control pooled over `strata`, with the variance that holds for many small ones.

    None when no stratum has both arms. Raises ValueError for counts that are no share. Source: Mantel and Haenszel's
    weights n_t n_c / n; Sato, Biometrics 45 (1989) 1323-1324, for the variance.
    """
    z, used = two_sided(level), _comparable(strata)
    if not used:
        return None
    weight = excess = first = second = 0.0
    for one in used:
        n_t, n_c, x_t, x_c = one.n_t, one.n_c, one.events_t, one.events_c
        n = n_t + n_c
        weight += n_t * n_c / n
        excess += (x_t * n_c - x_c * n_t) / n
        first += (n_t * n_t * x_c - n_c * n_c * x_t + n_t * n_c * (n_c - n_t) / 2) / n**2
        second += (x_t * (n_c - x_c) + x_c * (n_t - x_t)) / (2 * n)
    difference = excess / weight
    error = sqrt(max(0.0, difference * first + second)) / weight
    return Pooled(
        difference=difference,
        low=max(-1.0, difference - z * error),
        high=min(1.0, difference + z * error),
        error=error,
        strata=len(used),
        left_out=len(strata) - len(used),
    )


def mantel_haenszel_ratio(strata: Sequence[Stratum], level: float = 0.95) -> Ratio | None:
    """Returns the ratio of the shares, treated over control, pooled over `strata`.

    None when no stratum has both arms and somebody who contacted in each; raises as `mantel_haenszel`. Source:
    Mantel and Haenszel's weights; Greenland and Robins, Biometrics 41 (1985) 55-68, for the variance of the logarithm.
    """
    z, used = two_sided(level), _comparable(strata)
    treated = sum(one.events_t * one.n_c / (one.n_t + one.n_c) for one in used)
    control = sum(one.events_c * one.n_t / (one.n_t + one.n_c) for one in used)
    if not treated or not control:
        return None
    spread = 0.0
    for one in used:
        n, x = one.n_t + one.n_c, one.events_t + one.events_c
        spread += (one.n_t * one.n_c * x - one.events_t * one.events_c * n) / n**2
    ratio, half = treated / control, z * sqrt(max(0.0, spread) / (treated * control))
    return Ratio(ratio=ratio, low=exp(log(ratio) - half), high=exp(log(ratio) + half))


def heterogeneity(effects: Sequence[tuple[float, float]], level: float = 0.95) -> Spread:
    """Returns how much `effects`, pairs of an effect and its standard error, differ beyond chance.

    For reasons with at least 5 contacted in either arm; with fewer the errors do not hold. Raises ValueError for fewer
    than 2 effects or an error that is not above 0. Source: DerSimonian and Laird, Controlled Clinical Trials 7 (1986)
    177-188; Higgins and Thompson, Statistics in Medicine 21 (2002) 1539-1558, for I2.
    """
    if len(effects) < 2 or not all(error > 0 for _, error in effects):
        raise ValueError("to differ takes two effects, each with an error above 0")
    z, df = two_sided(level), len(effects) - 1
    weights = [error**-2 for _, error in effects]
    fixed = sum(w * effect for w, (effect, _) in zip(weights, effects, strict=True)) / sum(weights)
    q = sum(w * (effect - fixed) ** 2 for w, (effect, _) in zip(weights, effects, strict=True))
    tau2 = max(0.0, (q - df) / (sum(weights) - sum(w * w for w in weights) / sum(weights)))
    weights = [1 / (error**2 + tau2) for _, error in effects]
    mean = sum(w * effect for w, (effect, _) in zip(weights, effects, strict=True)) / sum(weights)
    error = sum(weights) ** -0.5
    further = sqrt(tau2 + error**2)
    return Spread(
        q=q,
        p=chi_square_tail(q, df),
        tau2=tau2,
        i2=max(0.0, 1 - df / q) if q else 0.0,
        mean=mean,
        error=error,
        low=mean - z * error,
        high=mean + z * error,
        next_low=mean - z * further,
        next_high=mean + z * further,
    )


def _comparable(strata: Sequence[Stratum]) -> list[Stratum]:
    for one in strata:
        for events, n in ((one.events_t, one.n_t), (one.events_c, one.n_c)):
            if n or events:
                check_counts(events, n)
    return [one for one in strata if one.n_t and one.n_c]
