import pytest

from tellfirst.measurement.assignment import arm, draw, uniform


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
