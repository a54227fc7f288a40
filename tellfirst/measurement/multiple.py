"""Many reasons at once: of twenty comparisons in which nothing happened one looks as if something had."""

from collections.abc import Sequence


def benjamini_hochberg(p: Sequence[float]) -> tuple[float, ...]:
    """Returns each probability of `p` (0 to 1, in the given order) adjusted for having looked at all of them.

    Calling those below 0.05 effects makes at most 5 % of what is called so, in expectation, no effect. Raises
    ValueError for a probability outside 0 to 1. Source: Benjamini and Hochberg, Journal of the Royal Statistical
    Society B 57 (1995) 289-300.
    """
    if not all(0 <= one <= 1 for one in p):
        raise ValueError("a probability lies from 0 to 1")
    adjusted = [1.0] * len(p)
    least = 1.0
    for rank, place in sorted(enumerate(sorted(range(len(p)), key=p.__getitem__), start=1), reverse=True):
        least = min(least, p[place] * len(p) / rank)
        adjusted[place] = least
    return tuple(adjusted)
