"""Counts and costs per account: the difference of two means, sharpened by what each account did before."""

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
    if treated.n < 2 or control.n < 2:
        raise ValueError("a mean has an error from two clusters on")
    arms = (treated, control)
    inside = sum(_moment(arm.xx, arm.x, arm.x, arm.n) for arm in arms)
    theta = sum(_moment(arm.xy, arm.x, arm.y, arm.n) for arm in arms) / inside if adjust and inside > 0 else 0.0
    plain = [_variance(arm, 0.0) / arm.n for arm in arms]
    parts = [_variance(arm, theta) / arm.n for arm in arms]
    means = [(arm.y - theta * arm.x) / arm.n for arm in arms]
    difference, error = means[0] - means[1], sqrt(sum(parts))
    if error:
        df = sum(parts) ** 2 / sum(part**2 / (arm.n - 1) for part, arm in zip(parts, arms, strict=True))
        half, p = t_two_sided(level, df) * error, t_p(difference / error, df)
    else:
        df, half, p = float(treated.n + control.n - 2), 0.0, 0.0 if difference else 1.0
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
