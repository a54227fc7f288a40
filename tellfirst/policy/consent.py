"""Consent: the latest statement that covers a channel and a purpose decides."""

from collections.abc import Iterable

from tellfirst.policy.verdict import Consent


def may_contact(statements: Iterable[Consent], channel: str, purpose: str) -> bool:
    """Returns whether the customer may be written to on `channel` for `purpose`.

    The latest statement covering both decides, whatever its breadth, and a tie goes to the opt-out. Without any
    statement service and transactional messages are allowed and marketing is not.
    """
    covering = [s for s in statements if s.channel in ("*", channel) and s.purpose in ("*", purpose)]
    if not covering:
        return purpose != "marketing"
    return max(covering, key=lambda s: (s.at, not s.allowed)).allowed
