"""Bounds that hold at every look: against the integral they stand for, and in campaigns looked at again and again."""

import os
from collections.abc import Callable
from math import exp, log

import numpy as np
import pytest
from scipy import integrate, stats

from tellfirst.measurement.bounds import pace_bound, share_bound
from tellfirst.measurement.harm import ArmSoFar, SoFar, induced, standings
from tellfirst.playbooks.harm import Harm
from tests.figures import Figure

TIMES = int(os.environ.get("TELLFIRST_SIMULATIONS", "1"))
LIMIT, PACE = 0.05, 60.0
LOOKS = 99


@pytest.mark.parametrize(("events", "n"), [(1, 1), (1, 400), (7, 40), (30, 200), (60, 60)])
def test_the_bound_of_a_share_is_where_the_mixture_is_twenty_times_as_likely(events: int, n: int) -> None:
    bound = share_bound(events, n)
    none = n - events
    mixed, _ = integrate.quad(
        lambda p: (
            exp(events * log(p / bound) + none * (log((1 - p) / (1 - bound)) if none else 0))
            * stats.beta.pdf(p, 0.5, 0.5)
        ),
        0,
        1,
        points=[events / n] if none else None,
        limit=500,
    )
    assert mixed == pytest.approx(20, rel=1e-6)


@pytest.mark.parametrize(("events", "hours"), [(1, 0.25), (30, 0.25), (70, 1), (400, 5)])
def test_the_bound_of_a_pace_is_too(events: int, hours: float) -> None:
    bound = pace_bound(events, hours, around=PACE)
    mixed, _ = integrate.quad(
        lambda rate: (
            exp(events * log(rate / bound) - (rate - bound) * hours) * stats.gamma.pdf(rate, 0.5, scale=2 * PACE)
        ),
        0,
        np.inf,
        limit=500,
    )
    assert mixed == pytest.approx(20, rel=1e-5)


def test_without_an_event_nothing_is_exceeded() -> None:
    assert share_bound(0, 9) == pace_bound(0, 9, around=1) == 0.0


@pytest.mark.parametrize("given", [(2, 1), (-1, 5), (0, 0)])
def test_impossible_counts_are_refused(given: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        share_bound(*given)


@pytest.mark.parametrize(
    ("events", "hours", "around", "level"), [(-1, 1, 1, 0.95), (1, 0, 1, 0.95), (1, 1, 0, 0.95), (1, 1, 1, 1)]
)
def test_impossible_paces_are_refused(events: int, hours: float, around: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"pace|level"):
        pace_bound(events, hours, around=around, level=level)


# -- campaigns looked at again and again


def least(crossed: Callable[[int], bool], most: int) -> int:
    """Returns the least count that crosses, `most` where none below it does."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if crossed(middle) else (middle + 1, high)
    return low


def opted_out(rate: float, each: int, campaigns: int) -> np.ndarray:
    """Returns by campaign at which of 99 looks a share is found to be above its limit, -1 for never."""
    told = each * np.arange(1, LOOKS + 1)
    needed = [least(lambda x, n=n: x > n or share_bound(x, n) > LIMIT, n + 1) for n in map(int, told)]  # type: ignore[misc]
    events = np.random.default_rng(7).binomial(each, rate, (campaigns, LOOKS)).cumsum(axis=1)
    over = events >= np.array(needed)
    return np.where(over.any(axis=1), over.argmax(axis=1), -1)


@pytest.mark.parametrize("each", [1, 10, 200])
def test_a_share_at_its_limit_is_seldom_found_above_it(each: int, figure: Figure) -> None:
    wrong = (opted_out(LIMIT, each, 20_000 * TIMES) >= 0).mean()
    figure(f"harm: opt-outs at the limit of 5 %, {each} told between 99 looks: paused {wrong:.2%} (at most 5 %)")
    assert wrong < 0.05


@pytest.mark.parametrize(("rate", "at_least"), [(0.15, 0.99), (0.10, 0.99), (0.07, 0.5)])
def test_a_share_above_its_limit_is_found(rate: float, at_least: float, figure: Figure) -> None:
    found = opted_out(rate, 20, 4_000 * TIMES)
    told = 20 * (np.median(found[found >= 0]) + 1)
    figure(
        f"harm: opt-outs {rate:.0%} of 1,980 told, limit 5 %: paused {(found >= 0).mean():.1%}, "
        f"half of those by {told:,.0f} told"
    )
    assert (found >= 0).mean() > at_least


def loaded(pace: float, days: int, campaigns: int) -> np.ndarray:
    """Returns by campaign after how many quarters of an hour a load is found to be above its limit, -1 for never."""
    harm, quarters = Harm(), np.arange(1, days * 96 + 1)
    needed, came = [], np.random.default_rng(8).poisson(pace / 4, (campaigns, days * 96))
    for quarter in map(int, quarters):
        day, hours = (quarter - 1) // 96 + 1, ((quarter - 1) % 96 + 1) / 4

        def crossed(count: int, day: int = day, hours: float = hours) -> bool:
            [load] = [s for s in standings(SoFar(load=count, hours=hours, day=day), harm, {}) if s.rule == "team_load"]
            return load.crossed

        needed.append(least(crossed, 10_000))
    by_day = came.reshape(campaigns, days, 96).cumsum(axis=2).reshape(campaigns, -1)
    over = by_day >= np.array(needed)
    return np.where(over.any(axis=1), over.argmax(axis=1), -1)


def test_a_load_at_its_limit_is_seldom_found_above_it(figure: Figure) -> None:
    wrong = (loaded(PACE, 7, 1_000 * TIMES) >= 0).mean()
    figure(f"harm: load at the limit of 60 an hour, 672 looks in 7 days: paused {wrong:.2%} (at most 5 %)")
    assert wrong < 0.05


def test_a_load_above_its_limit_is_found(figure: Figure) -> None:
    found = loaded(90, 1, 1_000)
    figure(
        f"harm: load 90 an hour, limit 60: paused {(found >= 0).mean():.1%}, half of those within "
        f"{(np.median(found[found >= 0]) + 1) / 4:.2f} h"
    )
    assert (found >= 0).mean() > 0.99


def inducing(treated: float, control: float, n_t: int, n_c: int, campaigns: int) -> int:
    """Counts campaigns that are ever found to induce contacts, which come over 99 looks as fast as they will."""
    made = np.random.default_rng(9)
    # Most contacts come early, as they do; each account makes its first one at a look, or none.
    share = np.exp(-np.arange(LOOKS) / 25)
    share /= share.sum()
    found = 0
    for _ in range(campaigns):
        x_t = made.multinomial(n_t, [*(treated * share), 1 - treated])[:-1].cumsum()
        x_c = made.multinomial(n_c, [*(control * share), 1 - control])[:-1].cumsum()
        looks = (
            induced(ArmSoFar(accounts=n_t, contacted=int(a)), ArmSoFar(accounts=n_c, contacted=int(b)))
            for a, b in zip(x_t, x_c, strict=True)
        )
        found += any(now is not None and now[1] > 0 for now in looks)
    return found


@pytest.mark.parametrize(
    ("n_t", "n_c", "rate"),
    [(4_500, 500, 0.08), (900, 900, 0.2), (45_000, 5_000, 0.04), (1_900, 50, 0.2), (100, 900, 0.2)],
)
def test_outreach_without_effect_is_seldom_found_to_induce_contacts(
    n_t: int, n_c: int, rate: float, figure: Figure
) -> None:
    campaigns = 500 * TIMES
    wrong = inducing(rate, rate, n_t, n_c, campaigns) / campaigns
    figure(f"harm: no effect, {n_t:,} told, {n_c:,} held out, contacts over 99 looks: paused {wrong:.2%} (at most 5 %)")
    assert wrong < 0.05


def test_outreach_that_induces_contacts_is_found(figure: Figure) -> None:
    share = inducing(0.12, 0.06, 4_500, 500, 200) / 200
    figure(f"harm: 12 % contact of 4,500 told, 6 % of 500 held out: paused {share:.1%}")
    assert share > 0.7


# -- the rules


def test_what_is_accepted_is_the_limit_from_then_on() -> None:
    so_far = SoFar(told=200, opted_out=30)
    [before, *_] = standings(so_far, Harm(), {})
    [after, *_] = standings(so_far, Harm(step=0.2), {"opt_out": 0.10})
    assert (before.crossed, before.limit, before.accepted) == (True, 0.05, None)
    assert (after.crossed, after.limit, after.accepted) == (False, pytest.approx(0.12), 0.10)


def test_accepting_less_than_the_limit_does_not_lower_it() -> None:
    [one, *_] = standings(SoFar(told=10), Harm(), {"opt_out": 0.01})
    assert one.limit == 0.05


def test_nothing_is_said_before_anything_can_be() -> None:
    early = standings(SoFar(), Harm(), {})
    assert [(one.figure, one.bound, one.crossed) for one in early] == [(None, None, False)] * 4
    few = SoFar(treated=ArmSoFar(accounts=50, contacted=49), control=ArmSoFar(accounts=50, contacted=1))
    assert standings(few, Harm(), {})[2].bound is None, "fewer than 100 made contact"
