import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from tellfirst.measurement.assignment import Holdouts, arm, draw, draw_everywhere, draw_in, uniform
from tests.figures import Figure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("holdout-v1|cust-1", 0.8410760102624077),
        ("holdout-v1|cust-2", 0.0029133833248940963),
        ("holdout-v1|user-5", 0.3762163706458579),
    ],
)
def test_uniform_gives_the_reference_numbers(text: str, expected: float) -> None:
    assert uniform(text) == expected


def test_draw_is_uniform_of_the_three_parts() -> None:
    assert draw("holdout", "2026h1", "cust-1") == uniform("holdout|2026h1|cust-1")
    assert draw("holdout", "2026h1", "a|b") == uniform("holdout|2026h1|a|b")


def test_two_experiments_cannot_share_their_draws() -> None:
    for salt, epoch in (("a|b", "c"), ("a", "b|c")):
        with pytest.raises(ValueError, match="without"):
            draw(salt, epoch, "cust-1")


def test_salts_and_epochs_draw_afresh() -> None:
    assert len({draw(salt, epoch, "cust-1") for salt in ("a", "b") for epoch in ("1", "2")}) == 4


def test_control_lies_strictly_below_the_share() -> None:
    assert arm(0.0999, 0.1) == "control"
    assert arm(0.1, 0.1) == "treated"
    assert arm(0.0, 0.0) == "treated"


def test_a_larger_holdout_keeps_who_was_held_out() -> None:
    draws = [draw("s", "1", f"cust-{number}") for number in range(2_000)]
    small = {number for number, value in enumerate(draws) if arm(value, 0.1) == "control"}
    large = {number for number, value in enumerate(draws) if arm(value, 0.3) == "control"}
    assert small < large


def test_the_share_is_kept() -> None:
    held = sum(arm(draw("holdout", "1", f"cust-{number}"), 0.1) == "control" for number in range(20_000))
    assert 1_830 <= held <= 2_170  # four standard deviations


@pytest.mark.parametrize(
    ("value", "share"), [(-0.1, 0.1), (1.1, 0.1), (float("nan"), 0.1), (0.5, 1.0), (0.5, -0.1), (0.5, float("nan"))]
)
def test_impossible_draws_and_shares_are_refused(value: float, share: float) -> None:
    with pytest.raises(ValueError, match="lies from 0"):
        arm(value, share)


NAMES = st.text(st.characters(exclude_characters="|", exclude_categories=("Cs",)), min_size=1, max_size=12)
SHARES = st.floats(0, 0.9)


@given(salt=NAMES, outreach=NAMES, unit=NAMES, own=SHARES, everywhere=SHARES, phases=st.integers(1, 6))
def test_nothing_but_salt_scope_and_unit_steers_a_draw(
    salt: str, outreach: str, unit: str, own: float, everywhere: float, phases: int
) -> None:
    def number(*parts: str) -> float:
        return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:8], "big") / 2**64

    by = Holdouts(own=own, everywhere=everywhere, phases=phases)
    first = draw_everywhere(salt, "2026H1", unit, everywhere)
    drawn = draw_in(salt, outreach, unit, by, first)
    u, v = number(salt, "global/2026H1", unit), number(salt, outreach, unit)
    assert (first.u, drawn.u) == (u, v)
    held_by = "global" if u < everywhere else "playbook" if v < own else None
    assert (drawn.held_by, drawn.arm) == (held_by, "control" if held_by else "treated")
    assert drawn.chance == by.chance == everywhere + (1 - everywhere) * own
    assert drawn.phase == (0 if held_by else int(v * phases))


def test_the_hold_outs_are_drawn_independently(figure: Figure) -> None:
    """The one of all outreaches, those of two outreaches, and another half-year, over 100,000 accounts."""
    by, scopes = Holdouts(own=0.1), ("outreach/late_delivery/k-1/1", "outreach/late_delivery/k-2/1")
    pairs: dict[str, Counter[tuple[str, str]]] = {}
    chances = Counter[str]()
    for number in range(100_000):
        unit = f"cust-{number}"
        half, next_half = (draw_everywhere("holdout-v1", epoch, unit, 0.05) for epoch in ("2026H1", "2026H2"))
        one, two = (draw_in("holdout-v1", scope, unit, by) for scope in scopes)
        for name, a, b in (("all and one", half, one), ("two outreaches", one, two), ("half-years", half, next_half)):
            pairs.setdefault(name, Counter())[a.arm, b.arm] += 1
        chances[draw_in("holdout-v1", scopes[0], unit, by, half).arm] += 1
    for name, of in pairs.items():
        p = chi2_contingency([[of[a, b] for b in ("treated", "control")] for a in ("treated", "control")]).pvalue
        figure(f"assignment: {name} over 100,000 accounts, chi-square of independence p = {p:.2f}")
        assert p > 0.001, name
    assert abs(chances["control"] - 14_500) < 4 * (100_000 * 0.145 * 0.855) ** 0.5
