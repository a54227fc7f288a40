"""Lower bounds of one rate that hold at every look: what a limit is held against, however often one looks.

Each is where a test martingale, a mixture of likelihood ratios, reaches 1 / (1 - level): by Ville's inequality it ever
does so for the true rate with a probability of at most 1 - level. So the bound may be held against any limit, also one
that was chosen after looking.
"""

from math import exp, lgamma, log, log1p

from tellfirst.measurement.intervals import check_counts
from tellfirst.measurement.numerics import halve

HALF = 0.5
"""The mixtures weigh rates as Jeffreys does: few events suffice where the rate is far above its limit."""


def share_bound(events: int, n: int, *, level: float = 0.95) -> float:
    """Returns the share (0 to 1) that is surely exceeded by that of `events` among `n`, at all looks together.

    Units are counted in the order they came; of one whose event is still to come the bound is only lower. Raises
    ValueError unless 0 <= events <= n and 0 < level < 1, or for n = 0. Source: the beta-binomial mixture of Robbins,
    Annals of Mathematical Statistics 41 (1970) 1397-1409; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49
    (2021) 1055-1080.
    """
    check_counts(events, n)
    needed = -log(_left_over(level))
    if not events:
        return 0.0
    mixed = _log_beta(events + HALF, n - events + HALF) - _log_beta(HALF, HALF)
    none = n - events

    def above(share: float) -> float:
        against = events * log(share) + (none * log1p(-share) if none else 0.0)
        return mixed - against - needed

    low = exp((mixed - needed) / events) / 2  # the mixture is above there by the events alone
    return halve(above, low, events / n)


def pace_bound(events: int, hours: float, *, around: float, level: float = 0.95) -> float:
    """Returns the events an hour that are surely exceeded by `events` in `hours`, at all looks together.

    The bound is sharpest for rates about `around` an hour, which is chosen beforehand. Raises ValueError unless
    events >= 0, hours > 0, around > 0 and 0 < level < 1. Source: as `share_bound`, the gamma mixture of Poisson counts.
    """
    needed = -log(_left_over(level))
    if events < 0 or not hours > 0 or not around > 0:
        raise ValueError("a pace is of no fewer than 0 events in more than 0 hours, around more than 0 an hour")
    if not events:
        return 0.0
    scale = HALF / around
    shape = events + HALF
    mixed = HALF * log(scale) - shape * log(scale + hours) + lgamma(shape) - lgamma(HALF)

    def above(pace: float) -> float:
        return mixed - events * log(pace) + pace * hours - needed

    low = exp((mixed - needed) / events) / 2
    return halve(above, low, events / hours)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _left_over(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError("the level of a bound lies between 0 and 1, such as 0.95")
    return 1 - level
