"""What the intervals promise, tried: by counting every possible table, and by drawing; the figures are printed.

`TELLFIRST_SIMULATIONS` multiplies the draws and opens the whole grid; 10 takes some minutes.
"""

import os
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from tellfirst.domain.figures import Sums
from tellfirst.measurement.assignment import arm, draw
from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.means import mean_difference
from tellfirst.measurement.pooling import Stratum, mantel_haenszel
from tellfirst.measurement.scores import koopman, miettinen_nurminen
from tellfirst.measurement.sequential import reading
from tests.figures import Figure

binom = pytest.importorskip("scipy.stats").binom

TIMES = int(os.environ.get("TELLFIRST_SIMULATIONS", "1"))
DRAWS = 4_000 * TIMES
Cell = tuple[int, int, float, float]
Interval = Callable[[int, int, int, int], tuple[float, float]]

USUAL: list[Cell] = [
    (50, 50, 0.5, 0.5),
    (50, 50, 0.1, 0.1),
    (90, 50, 0.2, 0.1),
    (80, 80, 0.3, 0.4),
    (900, 100, 0.04, 0.05),
]
if TIMES > 1:
    USUAL += [
        (n_t, n_c, p_c * effect, p_c)
        for n_t, n_c in ((100, 100), (50, 50), (900, 100), (450, 50), (1_900, 100), (9_000, 1_000))
        for p_c in (0.016, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
        for effect in (0.5, 0.8, 1, 1.2)
        if min(n_t * p_c * effect, n_c * p_c, n_t * (1 - p_c * effect), n_c * (1 - p_c)) > 4.99
        and n_t * n_c * p_c * p_c * effect < 300_000
    ]
SPARSE: list[Cell] = [(9, 1, 0.1, 0.3), (27, 3, 0.1, 0.2), (90, 10, 0.05, 0.1), (180, 20, 0.02, 0.04)]


@cache
def of_difference(*table: int) -> tuple[float, float]:
    found = newcombe(*table)
    return found.low, found.high


@cache
def of_score(*table: int) -> tuple[float, float]:
    found = miettinen_nurminen(*table)
    return found.low, found.high


@cache
def of_ratio(*table: int) -> tuple[float, float]:
    found = koopman(*table)
    return found.low, float("inf") if found.high is None else found.high


INTERVALS: list[tuple[str, Interval]] = [
    ("Newcombe", of_difference),
    ("Miettinen-Nurminen", of_score),
    ("Koopman", of_ratio),
]


def sizes(n: int, p: float) -> list[tuple[int, float]]:
    """Returns every number of events that happens but once in a million times, with its probability."""
    events = np.arange(int(binom.ppf(1e-6, n, p)), int(binom.isf(1e-6, n, p)) + 1)
    return list(zip(events.tolist(), binom.pmf(events, n, p).tolist(), strict=True))


def both_ways(name: str, interval: Interval, cell: Cell) -> tuple[float, float]:
    """Returns the coverage by counting all tables, and by drawing some."""
    n_t, n_c, p_t, p_c = cell
    truth = p_t / p_c if name == "Koopman" else p_t - p_c

    def holds(x_t: int, x_c: int) -> bool:
        low, high = interval(x_t, n_t, x_c, n_c)
        return low - 1e-12 <= truth <= high + 1e-12

    every = sum(a * b for x_t, a in sizes(n_t, p_t) for x_c, b in sizes(n_c, p_c) if holds(x_t, x_c))
    chance = np.random.default_rng(1)
    drawn = zip(chance.binomial(n_t, p_t, DRAWS).tolist(), chance.binomial(n_c, p_c, DRAWS).tolist(), strict=True)
    return every, sum(holds(*table) for table in drawn) / DRAWS


@pytest.mark.parametrize(("name", "interval"), INTERVALS, ids=[name for name, _ in INTERVALS])
def test_intervals_cover_what_they_promise(name: str, interval: Interval, figure: Figure) -> None:
    every, drawn = zip(*(both_ways(name, interval, cell) for cell in USUAL), strict=True)
    figure(
        f"{name}, 5 or more expected, {len(USUAL)} settings: coverage {min(every):.2%} to {max(every):.2%} counted,"
        f" {min(drawn):.2%} to {max(drawn):.2%} in {DRAWS:,} draws"
    )
    assert min(every) >= 0.94
    for counted, seen in zip(every, drawn, strict=True):
        assert abs(counted - seen) < 4 * (counted * (1 - counted) / DRAWS) ** 0.5 + 1e-3


@pytest.mark.parametrize(("name", "interval"), INTERVALS, ids=[name for name, _ in INTERVALS])
def test_below_that_drawing_and_counting_say_the_same(name: str, interval: Interval, figure: Figure) -> None:
    lines = []
    for cell in SPARSE:
        counted, seen = both_ways(name, interval, cell)
        lines.append(f"{cell[0]} to {cell[1]} {counted:.1%} and {seen:.1%}")
        assert abs(counted - seen) < 4 * (counted * (1 - counted) / DRAWS) ** 0.5 + 1e-3
    figure(f"{name}, fewer expected, counted and drawn: {', '.join(lines)}")


def test_outreaches_that_did_nothing_show_nothing(figure: Figure) -> None:
    # Assigned by our own hash, with a salt for each experiment: the arms do not differ but by it.
    chance = np.random.default_rng(2)
    alarms, runs, units = 0, 1_000 * TIMES, 300
    for run in range(runs):
        salt, contacted = f"nothing-{run}", (chance.random(units) < 0.15).tolist()
        held = [arm(draw(salt, "1", str(unit)), 0.2) == "control" for unit in range(units)]
        n_c, x_c = sum(held), sum(did for did, out in zip(contacted, held, strict=True) if out)
        low, high = of_difference(sum(contacted) - x_c, units - n_c, x_c, n_c)
        alarms += not low <= 0 <= high
    figure(f"A/A, {runs:,} outreaches without effect, held out by hash: {alarms / runs:.1%} show one")
    assert alarms / runs <= 0.06


@pytest.mark.parametrize(("told", "held_out"), [(90, 10), (38, 1)])
def test_looking_every_day_raises_few_alarms(told: int, held_out: int, figure: Figure) -> None:
    chance = np.random.default_rng(3)
    runs, looks = 1_000 * TIMES, np.arange(1, 100)
    n_t, n_c = told * looks, held_out * looks
    often = naive = 0
    for _ in range(runs):
        x_t, x_c = np.cumsum(chance.binomial(told, 0.1, 99)), np.cumsum(chance.binomial(held_out, 0.1, 99))
        p_t, p_c = x_t / n_t, x_c / n_c
        error = np.sqrt(p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c)
        naive += bool(np.any((x_c > 0) & (np.abs(p_t - p_c) > 1.96 * error)))
        # Ours is asked at every look; to be quick only where the bounds could leave zero out at all.
        for look in np.flatnonzero(np.abs(p_t - p_c) > 2 * error):
            now = reading(int(x_t[look]), int(n_t[look]), int(x_c[look]), int(n_c[look])).now
            if now is not None and not now.low <= 0 <= now.high:
                often += 1
                break
    figure(
        f"99 looks at {runs:,} outreaches without effect, {told} told to {held_out} held out: the confidence sequence"
        f" shows one in {often / runs:.1%},"
        f" fixed intervals in {naive / runs:.1%}"
    )
    assert often / runs < 0.05
    assert naive / runs > 0.2


def test_pooling_is_not_deceived_by_unequal_holdouts(figure: Figure) -> None:
    # Where risk is high more are held out, as a careful person might do; the effect is the same everywhere.
    chance, effect, runs, strata = np.random.default_rng(4), -0.06, 500 * TIMES, 400
    pooled, crude, held = [], [], 0
    for _ in range(runs):
        risky = chance.random(strata) < 0.5
        people = chance.integers(1, 8, strata)
        risk = np.where(risky, 0.5, 0.1)
        n_c = chance.binomial(people, np.where(risky, 0.3, 0.1))
        n_t = people - n_c
        x_t, x_c = chance.binomial(n_t, risk + effect), chance.binomial(n_c, risk)
        found = mantel_haenszel(
            [
                Stratum(events_t=a, n_t=b, events_c=c, n_c=d)
                for a, b, c, d in zip(x_t.tolist(), n_t.tolist(), x_c.tolist(), n_c.tolist(), strict=True)
            ]
        )
        assert found is not None
        pooled.append(found.difference)
        held += found.low <= effect <= found.high
        crude.append(x_t.sum() / n_t.sum() - x_c.sum() / n_c.sum())
    bias, noise = float(np.mean(pooled)) - effect, float(np.std(pooled)) / runs**0.5
    figure(
        f"Mantel-Haenszel, {runs} times {strata} outreaches of 1 to 7 people: bias {bias:+.4f} (noise {noise:.4f}),"
        f" added up raw {float(np.mean(crude)) - effect:+.4f}; coverage {held / runs:.1%}"
        f" (noise {0.22 / runs**0.5:.1%})"
    )
    assert abs(bias) < 4 * noise
    assert abs(float(np.mean(crude)) - effect) > 0.05
    assert held / runs >= 0.94 - 3 * (0.94 * 0.06 / runs) ** 0.5


@pytest.mark.parametrize(("n_t", "n_c"), [(900, 100), (450, 50)])
def test_means_cover_what_they_promise(n_t: int, n_c: int, figure: Figure) -> None:
    chance, runs, effect = np.random.default_rng(5), 300 * TIMES, -0.1
    held = {False: 0, True: 0}

    def drawn(n: int, change: float) -> Sums:
        often = chance.gamma(2.0, 0.25, n)
        x, y = chance.poisson(often), chance.poisson(often * (1 + change / 0.5))
        return Sums(n=n, y=y.sum(), yy=y @ y, x=x.sum(), xx=x @ x, xy=x @ y)

    for _ in range(runs):
        arms = drawn(n_t, effect), drawn(n_c, 0.0)
        for adjust in held:
            found = mean_difference(*arms, adjust=adjust)
            held[adjust] += found.low <= effect <= found.high
    figure(
        f"means of contacts, {n_t} to {n_c} accounts, {runs:,} draws: coverage {held[False] / runs:.1%},"
        f" adjusted for those before {held[True] / runs:.1%} (noise {0.22 / runs**0.5:.1%})"
    )
    # Few account for most contacts, so fifty held out are too few: 93.8 % is what is known there, not 95 %.
    least = 0.94 if n_c >= 100 else 0.935
    assert min(held.values()) / runs >= least - 3 * (least * (1 - least) / runs) ** 0.5
