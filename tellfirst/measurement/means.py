"""Counts and costs per account: the difference of two means, sharpened by what each account did before."""

from collections.abc import Sequence
from math import sqrt

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import Sums
from tellfirst.measurement.numerics import t_p, t_two_sided


class MeanDifference(Frozen):
    """Is the difference of two means per cluster, in the unit of y, treated minus control.

    With its robust standard error, degrees of freedom and two-sided probability. `theta` is how much of one unit
    before t0 was taken off y, 0 without adjustment; `kept` the share of the variance that is left after it.
    """

    difference: float
    low: float
    high: float
    error: float
    df: float
    p: float
    theta: float
    kept: float


def mean_difference(treated: Sums, control: Sums, *, adjust: bool = False, level: float = 0.95) -> MeanDifference:
    """Returns the difference of the means of y per cluster, the arms free to vary differently.

    With `adjust`, y less theta times x is compared, theta being the slope common to both arms; x is from before t0, so
    the arms differ in it by chance alone and nothing is biased. Raises ValueError for fewer than 2 clusters in an arm.
    Source: Welch, Biometrika 34 (1947) 28-35 (for two arms the robust error HC2); Deng, Xu, Kohavi and Walker,
    WSDM 2013, 123-132, for the adjustment.
    """
    found = pooled_means([(treated, control)], adjust=adjust, level=level)
    if found is None:
        raise ValueError("a mean has an error from two clusters on")
    return found


def pooled_means(
    strata: Sequence[tuple[Sums, Sums]], *, adjust: bool = False, level: float = 0.95
) -> MeanDifference | None:
    """Returns the difference of the means of y per cluster over strata of (treated, control), each within itself.

    Weighed by n_t n_c / n, as Mantel and Haenszel weigh shares, with one slope for all of them. Strata with fewer than
    2 clusters in an arm are left out, None when no other is there; one alone gives `mean_difference`, whose sources
    hold. Source of the degrees of freedom: Satterthwaite, Biometrics Bulletin 2 (1946) 110-114.
    """
    used = [(t, c) for t, c in strata if min(t.n, c.n) > 1]
    if not used:
        return None
    arms = [arm for pair in used for arm in pair]
    inside = sum(_moment(arm.xx, arm.x, arm.x, arm.n) for arm in arms)
    theta = sum(_moment(arm.xy, arm.x, arm.y, arm.n) for arm in arms) / inside if adjust and inside > 0 else 0.0
    weights = [t.n * c.n / (t.n + c.n) for t, c in used]
    shares = [weight / sum(weights) for weight in weights for _ in range(2)]
    plain = [share**2 * _variance(arm, 0.0) / arm.n for share, arm in zip(shares, arms, strict=True)]
    parts = [share**2 * _variance(arm, theta) / arm.n for share, arm in zip(shares, arms, strict=True)]
    means = [share * (arm.y - theta * arm.x) / arm.n for share, arm in zip(shares, arms, strict=True)]
    difference, error = sum(means[::2]) - sum(means[1::2]), sqrt(sum(parts))
    if error:
        df = sum(parts) ** 2 / sum(part**2 / (arm.n - 1) for part, arm in zip(parts, arms, strict=True))
        half, p = t_two_sided(level, df) * error, t_p(difference / error, df)
    else:
        df, half, p = float(sum(arm.n - 1 for arm in arms)), 0.0, 0.0 if difference else 1.0
    return MeanDifference(
        difference=difference,
        low=difference - half,
        high=difference + half,
        error=error,
        df=df,
        p=p,
        theta=theta,
        kept=sum(parts) / sum(plain) if sum(plain) else 1.0,
    )


def _moment(product: float, one: float, other: float, n: int) -> float:
    return product - one * other / n


def _variance(arm: Sums, theta: float) -> float:
    yy = _moment(arm.yy, arm.y, arm.y, arm.n)
    xy, xx = _moment(arm.xy, arm.x, arm.y, arm.n), _moment(arm.xx, arm.x, arm.x, arm.n)
    return max(0.0, yy - 2 * theta * xy + theta * theta * xx) / (arm.n - 1)
