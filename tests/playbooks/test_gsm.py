import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.playbooks.gsm import normalise_gsm7, segments


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("We’re “sorry”", 'We\'re "sorry"'),
        ("„so“ «da» `x´", '"so" "da" \'x\''),
        ("a – b — c‑d − e", "a - b - c-d - e"),
        ("wait…", "wait..."),
        ("12,50\u00a0€ um 6\u202fpm\t.", "12,50 € um 6 pm ."),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("Cafe\u0301", "Café"),
        ("Grüße, ação, 你好", "Grüße, ação, 你好"),
    ],
)
def test_typography_is_written_in_gsm_and_letters_stay(typed: str, sent: str) -> None:
    assert normalise_gsm7(typed) == sent


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # 153 septets hold 76 pairs and a half: a pair is never split.
        ("€" * 153, 3),
        ("a" + "€" * 152, 2),
        ("é" * 160, 1),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("ç" * 134, 2),
        ("ç" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        # 67 units hold 33 pairs and a half.
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_segments_at_every_edge(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(max_size=700))
def test_normalising_twice_changes_nothing_and_never_costs_more_than_three_times(text: str) -> None:
    once = normalise_gsm7(text)
    assert normalise_gsm7(once) == once
    assert segments(once) <= max(1, len(once))
