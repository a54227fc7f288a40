"""Delivery receipts: what a provider reports after it accepted a message, folded into one state.

Receipts come in any order, twice, and without a time. So a status has a rank and the highest rank wins: the same set
of receipts gives the same state in whatever order it came, and nothing that was final is undone by a late `sent`.
"""

from collections.abc import Iterable

from tellfirst.domain.message import SendState

# Statuses of the Twilio Message resource. Where two final ones contradict each other, having arrived outranks not
# having arrived: a handset confirmed it, and the customer must not be told the same thing a second time.
# `failed` and `canceled` come after acceptance, so they are outcomes of delivery, not of our request.
_STATUSES: dict[str, tuple[int, SendState]] = {
    "scheduled": (1, SendState.ACCEPTED),
    "accepted": (2, SendState.ACCEPTED),
    "queued": (3, SendState.ACCEPTED),
    "sending": (4, SendState.ACCEPTED),
    "sent": (5, SendState.ACCEPTED),
    "canceled": (6, SendState.UNDELIVERED),
    "failed": (7, SendState.UNDELIVERED),
    "undelivered": (8, SendState.UNDELIVERED),
    "partially_delivered": (9, SendState.UNDELIVERED),  # some segments are missing: the customer cannot read it whole
    "delivered": (10, SendState.DELIVERED),
    "read": (11, SendState.DELIVERED),
}


def rank(status: str) -> int:
    """Returns how far along a status is; 0 for one that is unknown, or not about an outgoing message."""
    return _STATUSES[status][0] if status in _STATUSES else 0


def fold(statuses: Iterable[str]) -> SendState | None:
    """Returns the state that the reported statuses amount to, or None when none of them is known.

    It depends neither on order nor on repetition, and grows with every further status: `accepted`, then `undelivered`
    or `delivered`.
    """
    furthest = max(statuses, key=rank, default="")
    return _STATUSES[furthest][1] if furthest in _STATUSES else None
