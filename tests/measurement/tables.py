"""Random comparisons for the oracles, the same in each run: small, unequal, empty and full ones among them.

2,000 by default; with `TELLFIRST_SIMULATIONS=5` or more there are 10,000.
"""

import os
import random
from math import inf

import numpy as np
from numpy.typing import NDArray

Table = tuple[int, int, int, int]
Numbers = NDArray[np.float64]
TABLES = min(10_000, 2_000 * int(os.environ.get("TELLFIRST_SIMULATIONS", "1")))
Z = 1.959963984540054


def tables(seed: int, count: int = TABLES, most: int = 3_000) -> list[Table]:
    """Returns (events_t, n_t, events_c, n_c) each."""
    chance = random.Random(seed)

    def arm() -> tuple[int, int]:
        n = chance.randint(1, chance.choice([9, 60, most]))
        usual = round(n * chance.choice([0.01, 0.1, chance.random()]))
        return min(n, max(0, usual + chance.randint(-3, 3))), n

    return [(*arm(), *arm()) for _ in range(count)]


def score_of_difference(found: list[Table], delta: Numbers) -> Numbers:
    """Returns the score statistic of each table at its `delta`; the restricted shares by halving, not by the cubic."""
    x1, n1, x0, n0 = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    low, high = np.maximum(0, -delta), np.minimum(1, 1 - delta)

    def part(events: Numbers, share: Numbers) -> Numbers:
        return np.divide(events, share, out=np.where(events > 0, inf, 0.0), where=share > 0)

    for _ in range(70):
        share = (low + high) / 2
        slope = part(x1, share + delta) - part(n1 - x1, 1 - share - delta) + part(x0, share) - part(n0 - x0, 1 - share)
        low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
    p0 = (low + high) / 2
    p1 = p0 + delta
    variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0) * (n1 + n0) / (n1 + n0 - 1)
    return np.asarray((x1 / n1 - x0 / n0 - delta) / np.sqrt(variance))
