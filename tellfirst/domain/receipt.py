"""A receipt: what a provider, or an app, reports about one message after it was accepted."""

from collections.abc import Callable, Collection

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import AnswerKind, SendState


class Receipt(Frozen):
    """Is one event about one message, as its provider names both.

    `send` is our id for the message, empty when the event does not name it; where the provider knows messages by our
    id alone, `provider_id` is that too. `error` is a code and never a sentence, which could hold an address.
    """

    provider: str
    provider_id: str
    status: str
    error: str = ""
    send: str = ""


class Judgement(Frozen):
    """Is what all events of a message amount to; without a state they say nothing of its delivery."""

    state: SendState | None = None
    reason: str = "receipt"


Judge = Callable[[str, Collection[tuple[str, str]]], Judgement]
"""Judges the events of a message: the provider, then each status with its error."""
Meaning = Callable[[Receipt], AnswerKind | None]
"""Says what one event means beyond its message: an opt-out, an address that will never work, a blocked text."""
