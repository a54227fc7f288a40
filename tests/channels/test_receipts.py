from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.channels.receipts import fold, rank
from tellfirst.domain.message import SendState

KNOWN = [
    *("scheduled", "accepted", "queued", "sending", "sent"),
    *("canceled", "failed", "undelivered", "partially_delivered", "delivered", "read"),
]
STATUSES = st.sampled_from([*KNOWN, "receiving", "received", "nonsense", "", "DELIVERED"])


@given(st.lists(STATUSES), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(statuses: list[str], random: object) -> None:
    shuffled = [*statuses, *statuses]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(statuses) == fold(set(statuses))


@given(st.lists(STATUSES), STATUSES)
def test_a_further_receipt_never_takes_back_what_is_final(statuses: list[str], late: str) -> None:
    order = [None, SendState.ACCEPTED, SendState.UNDELIVERED, SendState.DELIVERED]
    assert order.index(fold([*statuses, late])) >= order.index(fold(statuses))


@given(st.lists(STATUSES))
def test_unknown_words_change_nothing(statuses: list[str]) -> None:
    assert fold([*statuses, "received", "nonsense"]) == fold(statuses)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((), None),
        (("nonsense",), None),
        (("queued",), SendState.ACCEPTED),
        (("queued", "sent"), SendState.ACCEPTED),
        (("delivered", "sent"), SendState.DELIVERED),
        (("read",), SendState.DELIVERED),
        (("failed", "queued", "sent"), SendState.UNDELIVERED),
        (("canceled",), SendState.UNDELIVERED),
        (("undelivered", "sent"), SendState.UNDELIVERED),
        (("undelivered", "delivered"), SendState.DELIVERED),
    ],
)
def test_every_order_of_a_history_ends_the_same(statuses: tuple[str, ...], state: SendState | None) -> None:
    assert {fold(order) for order in permutations(statuses)} == {state}


def test_every_known_status_has_a_rank_of_its_own_and_the_others_none() -> None:
    assert [rank(status) for status in KNOWN] == sorted({rank(status) for status in KNOWN})
    assert rank("nonsense") == rank("received") == 0
