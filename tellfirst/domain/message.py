"""A message on its way: what is rendered, what an adapter is asked to send, and what came of it."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen

Channel = Literal["sms", "whatsapp", "voice", "email", "push", "in_app", "person"]
"""How a message reaches a customer; `person` is a call that somebody of ours makes."""


class Rendered(Frozen):
    """Is the text one recipient gets on one channel, exactly as it leaves; `subject` only where the channel has one.

    Where the provider keeps the words itself (WhatsApp), `template` names them there and `variables` fill its places
    in order; `body` is then what the customer reads.
    """

    subject: str = ""
    body: str
    template: str = ""
    variables: tuple[str, ...] = ()


class Outbound(Frozen):
    """Is one message handed to an adapter; `send_id` is opaque and the same for every attempt.

    `not_after` bounds how late the provider may still deliver it. `unsubscribe_url` acts on one POST (RFC 8058) and
    `preferences_url` opens the page where the customer chooses; both are empty where the installation has no web
    address. `customer` is our own id of the recipient, for what is delivered within our own walls.
    """

    send_id: str
    channel: str
    address: str
    rendered: Rendered
    locale: str
    not_after: AwareDatetime
    customer: str = ""
    unsubscribe_url: str = ""
    preferences_url: str = ""


class AnswerKind(StrEnum):
    """Sorts a provider's answer by what may be done next."""

    ACCEPTED = "accepted"
    PERMANENT = "permanent"  # this address will never work
    UNREACHED = "unreached"  # lost on the way, perhaps passing: another channel may do, this address stays
    OPTED_OUT = "opted_out"  # the provider knows of an opt-out: obey it everywhere
    NOT_SENT = "not_sent"  # provably not processed: safe to repeat
    QUIET_HOURS = "quiet_hours"  # not sent, because the provider or carrier keeps quiet hours: safe at the next opening
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
