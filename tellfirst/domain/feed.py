"""What other systems are told of what happens: ids, codes, counts and instants, never an address or a text.

A type's name stays as long as whoever reads it can go on as before; what breaks them is a new type beside the old one.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen

VERSION = 1


class Happening(Frozen):
    """Is something that happened; its key names it for good, so that the same thing is told as the same event."""

    type: ClassVar[str]

    @property
    def key(self) -> str:
        """Returns what no other happening of this type shares."""
        raise NotImplementedError


class OutreachPlanned(Happening):
    """Says that a plan is ready to be decided."""

    type: ClassVar[str] = "outreach.planned"

    outreach: str
    playbook: str
    reason_code: str
    owner: str
    revision: int
    recipients: int
    channels: dict[str, int]
    steps: tuple[str, ...]
    decide_by: AwareDatetime

    @property
    def key(self) -> str:
        """Returns the outreach and its revision."""
        return f"{self.outreach}#{self.revision}"


class Message(Happening):
    """Is about one message to one customer: `tellfirst show` tells its words."""

    customer: str
    outreach: str
    playbook: str
    reason_code: str
    step: str
    channel: str
    send: str

    @property
    def key(self) -> str:
        """Returns the send."""
        return self.send


class MessageSent(Message):
    """Says that the provider accepted a message."""

    type: ClassVar[str] = "message.sent"


class MessageDelivered(Message):
    """Says that a message arrived."""

    type: ClassVar[str] = "message.delivered"


class UntoldMessage(Message):
    """Is about a message that the customer has perhaps not got; `why` is a code."""

    why: str


class MessageUndelivered(UntoldMessage):
    """Says that a message was accepted and did not arrive."""

    type: ClassVar[str] = "message.undelivered"


class MessageFailed(UntoldMessage):
    """Says that the provider refused a message."""

    type: ClassVar[str] = "message.failed"


class MessageUnknown(UntoldMessage):
    """Says that nobody knows whether a message left; a later event may tell."""

    type: ClassVar[str] = "message.unknown"


class CustomerReplied(Happening):
    """Says that a customer answered; `reply` names what they wrote, which stays with us."""

    type: ClassVar[str] = "customer.replied"

    customer: str
    outreach: str
    channel: str
    reply: str
    kind: str
    tone: str

    @property
    def key(self) -> str:
        """Returns the reply."""
        return self.reply


class CustomerOptedOut(Happening):
    """Says that a customer wants no more of this; `*` is every channel, or every purpose."""

    type: ClassVar[str] = "customer.opted_out"

    customer: str
    channel: str
    purpose: str
    source: str
    at: AwareDatetime

    @property
    def key(self) -> str:
        """Returns what was refused, and when."""
        return f"{self.customer}#{self.channel}#{self.purpose}#{self.at.isoformat()}"


class EscalationRaised(Happening):
    """Says that something needs a person, once for each level that it reaches; `about` names what."""

    type: ClassVar[str] = "escalation.raised"

    about: str
    kind: str
    level: int
    levels: int
    waiting_on: str
    escalation: str

    @property
    def key(self) -> str:
        """Returns the escalation and its level."""
        return f"{self.escalation}#{self.level}"


class ExceptionChanged(Happening):
    """Says how a customer's request for more than the message stands now."""

    type: ClassVar[str] = "exception.changed"

    customer: str
    outreach: str
    request: str
    kind: str
    amount_minor: int
    currency: str
    status: str
    code: str

    @property
    def key(self) -> str:
        """Returns the request and its status."""
        return f"{self.request}#{self.status}"


class HarmSeen(Happening):
    """Says that an outreach did more harm than a rule of its playbook lets it, and was paused for it.

    `figure` surely exceeds `bound`, which is above `limit`: fractions of accounts, of `team_load` events an hour.
    """

    type: ClassVar[str] = "harm.seen"

    outreach: str
    rule: str
    number: int
    figure: float
    bound: float
    limit: float

    @property
    def key(self) -> str:
        """Returns the rule of the outreach, and how often it was crossed."""
        return f"{self.outreach}#{self.rule}#{self.number}"


class OutcomeRecorded(Happening):
    """Says what an outreach came to; `difference` is treated minus control as a fraction, null where not measured."""

    type: ClassVar[str] = "outcome.recorded"

    outreach: str
    version: int
    reason_code: str
    grade: Literal["A", "B", "C", "D", "E", "X"]
    sentence: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None

    @property
    def key(self) -> str:
        """Returns the outreach and the version of its outcome."""
        return f"{self.outreach}#{self.version}"


HAPPENINGS: dict[str, type[Happening]] = {
    one.type: one
    for one in (
        OutreachPlanned,
        MessageSent,
        MessageDelivered,
        MessageUndelivered,
        MessageFailed,
        MessageUnknown,
        CustomerReplied,
        CustomerOptedOut,
        EscalationRaised,
        ExceptionChanged,
        HarmSeen,
        OutcomeRecorded,
    )
}
"""Every type of event, by its name."""


def chosen(type_: str, patterns: Sequence[str]) -> bool:
    """Returns whether a type is among those asked for: its name, `message.*`, or `*`."""
    return any(p in ("*", type_) or (p.endswith(".*") and type_.startswith(p[:-1])) for p in patterns)
