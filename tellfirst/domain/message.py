"""A message on its way: what is rendered, what an adapter is asked to send, and what came of it."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen

Channel = Literal["sms", "email", "in_app"]


class Rendered(Frozen):
    """Is the text one recipient gets on one channel, exactly as it leaves; `subject` only where the channel has one."""

    subject: str = ""
    body: str


class Outbound(Frozen):
    """Is one message handed to an adapter; `send_id` is opaque and the same for every attempt.

    `not_after` bounds how late the provider may still deliver it.
    """

    send_id: str
    channel: str
    address: str
    rendered: Rendered
    locale: str
    not_after: AwareDatetime


class AnswerKind(StrEnum):
    """Sorts a provider's answer by what may be done next."""

    ACCEPTED = "accepted"
    PERMANENT = "permanent"  # this address will never work
    OPTED_OUT = "opted_out"  # the provider knows of an opt-out: obey it everywhere
    NOT_SENT = "not_sent"  # provably not processed: safe to repeat
    POLICY_BLOCK = "policy_block"  # the text or sender is blocked: stop this outreach
    CONFIGURATION = "configuration"  # our account or settings: stop this channel
    AMBIGUOUS = "ambiguous"  # it may have been accepted: never repeat, reconcile


class Answer(Frozen):
    """Is what became of one request; `detail` is a code or a class name, never an address or a text."""

    send_id: str
    kind: AnswerKind
    provider_id: str = ""
    detail: str = ""
    retry_after: float | None = None


class SendState(StrEnum):
    """Is the state of a send; see the effect log in docs/architecture.md."""

    PLANNED = "planned"
    DEFERRED = "deferred"
    WITHHELD = "withheld"
    INTENT = "intent"
    ACCEPTED = "accepted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
