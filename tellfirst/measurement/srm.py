"""The sample-ratio check: whether the arms have the sizes that chance would give them."""

from math import erfc, exp, lgamma, log, log1p, sqrt

EXACT_BELOW = 1_000
"""Below this many clusters the chi-square approximation alarms too often (9 times too often at 5 clusters)."""

_TIES = 1 + 1e-7


def sample_ratio_p(treated: int, control: int, holdout: float) -> float:
    """Returns the two-sided probability (0 to 1) of a split this odd when each cluster is held out with `holdout`.

    Exact binomial below 1,000 clusters (every split no likelier than this one counts), chi-square with one degree of
    freedom from there. No clusters: 1. Raises ValueError for negative counts or a share outside 0 to 1.
    Source: Fabijan et al., KDD 2019, for the check; Clopper and Pearson's exact test in its likelihood ordering.
    """
    if treated < 0 or control < 0:
        raise ValueError("an arm has no fewer than 0 clusters")
    if not 0 <= holdout <= 1:
        raise ValueError("a hold-out share lies from 0 to 1")
    n = treated + control
    if holdout in (0, 1):
        return 1.0 if (treated if holdout else control) == 0 else 0.0
    if n >= EXACT_BELOW:
        expected = n * holdout
        chi_square = (control - expected) ** 2 / (expected * (1 - holdout))
        return erfc(sqrt(chi_square / 2))
    observed = _likelihood(control, n, holdout) * _TIES
    return min(1.0, sum(p for k in range(n + 1) if (p := _likelihood(k, n, holdout)) <= observed))


def _likelihood(k: int, n: int, share: float) -> float:
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(ways + k * log(share) + (n - k) * log1p(-share))
