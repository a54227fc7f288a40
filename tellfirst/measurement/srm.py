"""The sample-ratio check: whether the arms have the sizes that chance would give them."""

from collections.abc import Sequence
from math import erfc, exp, lgamma, log, log1p, sqrt

from tellfirst.measurement.numerics import chi_square_tail

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


def split_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Returns the probability (0 to 1) of arms of sizes this odd when each cluster falls into one with its share.

    Two arms: `sample_ratio_p`. More: chi-square from 1,000 clusters; below, the exact probability of the oddest arm
    against all others, times the number of arms, which never alarms too often. Raises ValueError for negative counts,
    or unless there are two shares or more, each between 0 and 1, that add up to 1.
    Source: Pearson 1900 for the test; Bonferroni's inequality for the oddest arm.
    """
    if len(counts) != len(shares) or len(counts) < 2 or min(counts) < 0:
        raise ValueError("a split has two arms or more, each with a share and no fewer than 0 clusters")
    if not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError("the shares of the arms lie between 0 and 1 and add up to 1")
    n = sum(counts)
    if len(counts) == 2:
        return sample_ratio_p(counts[0], counts[1], shares[1])
    arms = list(zip(counts, shares, strict=True))
    if n >= EXACT_BELOW:
        return chi_square_tail(sum((count - n * share) ** 2 / (n * share) for count, share in arms), len(arms) - 1)
    return min(1.0, len(arms) * min(sample_ratio_p(n - count, count, share) for count, share in arms))


def _likelihood(k: int, n: int, share: float) -> float:
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(ways + k * log(share) + (n - k) * log1p(-share))
