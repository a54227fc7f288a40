"""Weekly series: the same errors as statsmodels, honest refusals, and no more claimed than was seen."""

import os
import random
from datetime import UTC, date, datetime, timedelta
from math import exp, log

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from tellfirst.measurement.least_squares import fit, usual_lags
from tellfirst.measurement.series import Weekly, against_others, before_after, drifting_p, series_for
from tests.figures import Figure

MONDAY = date(2026, 1, 5)
ROUNDS = 300 * int(os.environ.get("TELLFIRST_SIMULATIONS", "1"))
COUNTS = st.lists(st.integers(0, 400), min_size=8, max_size=40)


def begun(week: int) -> datetime:
    return datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(weeks=week, days=2)


def oracle(y: list[float], x: list[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns coefficients, errors after Newey and West, and plain errors."""
    lags = {"maxlags": usual_lags(len(y)), "use_correction": True}
    model = sm.OLS(np.array(y), np.array(x))
    done = model.fit(cov_type="HAC", cov_kwds=lags, use_t=True)
    return done.params, done.bse, model.fit().bse


def widened(y: list[float], x: list[tuple[float, ...]]) -> tuple[float, float]:
    """Returns the interval of the last coefficient as a relative change."""
    params, errors, plain = (float(of[-1]) for of in oracle(y, x))
    taken = (usual_lags(len(y)) + 1) / len(y)
    error = max(errors * (1 + (2.9694 * taken + 0.4160 * taken**2 - 0.5324 * taken**3) / 1.96), plain)
    half = float(t.ppf(0.975, len(y) - len(x[0]))) * error
    return exp(params - half) - 1, exp(params + half) - 1


@given(counts=COUNTS, turn=st.integers(2, 6))
def test_coefficients_and_errors_are_those_of_statsmodels(counts: list[int], turn: int) -> None:
    y = [log(count + 0.5) for count in counts]
    x = [(1.0, float(week), float(week >= turn)) for week in range(len(y))]
    ours = fit(y, x)
    params, errors, plain = oracle(y, x)
    assert ours.coefficients == pytest.approx(params, abs=1e-9)
    assert ours.plain == pytest.approx(plain, abs=1e-9)
    assert ours.errors == pytest.approx(errors, abs=1e-9)


def test_both_changes_are_those_of_statsmodels() -> None:
    dice = random.Random(7)
    before, after = [dice.randrange(80, 120) for _ in range(12)], [dice.randrange(60, 90) for _ in range(6)]
    others = [dice.randrange(300, 340) for _ in range(18)]
    weeks = [*range(12), *range(13, 19)]
    y = [log(count + 0.5) for count in before + after]
    found = before_after(before, after)
    expected = widened(y, [(1.0, float(w), float(w > 12)) for w in weeks])
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)
    z = [a - log(b + 0.5) for a, b in zip(y, others, strict=True)]
    found = against_others((before, after), (others[:12], others[12:]))
    assert (found.low, found.high) == pytest.approx(widened(z, [(1.0, float(w >= 12)) for w in range(18)]), abs=1e-9)


def test_regressors_that_say_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="do not differ"):
        fit([1.0, 2.0, 3.0, 4.0], [(1.0, 1.0)] * 4)
    with pytest.raises(ValueError, match="more values"):
        fit([1.0], [(1.0,)])


def test_a_steady_step_is_found_against_others_and_alone() -> None:
    weekly = Weekly(first=MONDAY, counts=(100, 104, 98, 101, 97, 103, 99, 102, 90, 80, 78, 81, 79, 82))
    others = Weekly(first=MONDAY, counts=(200, 207, 197, 203, 195, 204, 199, 203, 200, 201, 197, 202, 198, 203))
    found = series_for("late", weekly, begun=begun(8), others=others)
    assert (found.grade, found.weeks_before, found.weeks_after) == ("C", 8, 5)
    assert found.change is not None
    assert found.change.low < -0.2 < found.change.high < 0
    assert found.sentence.startswith("Contacts about late changed by -20 % a week (95 % interval: ")
    alone = series_for("late", weekly, begun=begun(8))
    assert (alone.grade, alone.apart_p) == ("D", None)
    assert "nothing is compared" in alone.sentence


def test_a_season_that_both_share_is_no_change() -> None:
    season = [1.0, 1.1, 1.0, 0.9, 1.05, 1.0, 0.95, 1.0, 1.3, 1.6, 1.7, 1.6, 1.65]
    own, others = ([round(base * of) for of in season] for base in (100, 400))
    weekly, beside = (Weekly(first=MONDAY, counts=tuple(counts)) for counts in (own, others))
    found = series_for("late", weekly, begun=begun(8), others=beside)
    assert found.grade == "C"
    assert found.change is not None
    assert abs(found.change.change) < 0.01


def test_series_that_ran_apart_before_are_not_compared() -> None:
    own = tuple(100 + 8 * week + (week % 3) for week in range(14))
    others = tuple(300 + (week * 7) % 5 for week in range(14))
    assert drifting_p(own[:8], others[:8]) < 0.05
    weekly, beside = (Weekly(first=MONDAY, counts=counts) for counts in (own, others))
    found = series_for("late", weekly, begun=begun(8), others=beside)
    assert found.grade == "D"
    assert "no comparison" in found.sentence


@pytest.mark.parametrize(
    ("weeks", "turn", "words"),
    [
        (20, 7, "7 full weeks before the first outreach and 12 after"),
        (12, 8, "8 full weeks before the first outreach and 3 after"),
        (5, 9, "5 full weeks before"),
        (5, -3, "0 full weeks before the first outreach and 5 after"),
        (0, 0, "0 full weeks before the first outreach and 0 after"),
    ],
)
def test_too_few_weeks_are_refused_in_a_sentence(weeks: int, turn: int, words: str) -> None:
    found = series_for("late", Weekly(first=MONDAY, counts=(50,) * weeks), begun=begun(turn))
    assert (found.grade, found.change) == ("E", None)
    assert words in found.sentence


def test_a_handful_of_contacts_a_week_is_refused() -> None:
    found = series_for("late", Weekly(first=MONDAY, counts=(4,) * 20), begun=begun(9))
    assert (found.grade, found.change) == ("E", None)
    assert "fewer than 5 contacts a week" in found.sentence


def test_others_that_lack_weeks_are_not_compared_with() -> None:
    weekly = Weekly(first=MONDAY, counts=tuple(100 + week % 4 for week in range(14)))
    for first, count in ((MONDAY + timedelta(weeks=1), 50), (MONDAY, 2)):
        others = Weekly(first=first, counts=(count,) * 14)
        assert series_for("late", weekly, begun=begun(8), others=others).grade == "D"
    early = Weekly(first=MONDAY - timedelta(weeks=3), counts=tuple(100 + week % 4 for week in range(20)))
    assert series_for("late", weekly, begun=begun(8), others=early).grade == "C"


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_intervals_know_that_weeks_resemble_their_neighbours(rho: float, figure: Figure) -> None:
    """Nothing happened: how often the interval of 26 weeks before and 12 after holds 0."""
    dice = random.Random(11)
    held = {"against others": 0, "before and after": 0}
    for _ in range(ROUNDS):
        noise, own, others = 0.0, [], []
        for _ in range(38):
            noise = rho * noise + dice.gauss(0, 0.1)
            own.append(max(0, round(dice.gauss(200 * exp(noise), 200**0.5))))
            others.append(max(0, round(dice.gauss(800, 800**0.5))))
        for name, one in (
            ("against others", against_others((own[:26], own[26:]), (others[:26], others[26:]))),
            ("before and after", before_after(own[:26], own[26:])),
        ):
            held[name] += one.low <= 0 <= one.high
    for name, count in held.items():
        figure(f"series: {name}, neighbours alike by {rho}, {ROUNDS:,} times: {100 * count / ROUNDS:.1f} % covered")
        assert count / ROUNDS > (0.9 if not rho else 0.82)  # four standard errors below what many rounds give
