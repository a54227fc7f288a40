"""Every name and shape that crosses the wire: what another service, or a stock Temporal client, needs to know.

Workflows, messages, queues and search attributes are named here once; the workflow's decorators use the same
constants. The models are published as JSON schemas in docs/contract/ and snapshotted by the tests.
"""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from tellfirst.domain.base import Answer, Outside
from tellfirst.domain.condition import Condition
from tellfirst.payloads import DATA_CONVERTER as DATA_CONVERTER

OUTREACH = "Outreach"
DETECTION = "Detection"
EXCEPTION = "ExceptionRequest"
LIBRARY_CHANGE = "LibraryChange"
PERMIT = "Permit"
NOTICE = "Notice"
RESUME = "Resume"
FEED = "Feed"
UPKEEP = "Upkeep"
SURVEY = "Survey"

QUEUE = "outreach"
SEND_QUEUE_PREFIX = "send-"
FEED_QUEUE = "feed"
UPKEEP_ID = "upkeep"

SUBMIT_DECISION = "submit_decision"
DECIDE = "decide"
DRAFT = "draft"
CONDITION_CHANGED = "condition_changed"
CONDITION_CLEARED = "condition_cleared"
PAUSE = "pause"
ABORT = "abort"
ESCALATE = "escalate"
ESCALATION_ACKNOWLEDGED = "escalation_acknowledged"
VIEW = "view"

STAGE = SearchAttributeKey.for_keyword("OutreachStage")
TRIGGER = SearchAttributeKey.for_keyword("OutreachTrigger")
REASON = SearchAttributeKey.for_keyword("OutreachReason")
OWNER = SearchAttributeKey.for_keyword("OutreachOwner")
WAITING_ON = SearchAttributeKey.for_keyword("OutreachWaitingOn")
DEADLINE = SearchAttributeKey.for_datetime("OutreachDeadline")
RECIPIENTS = SearchAttributeKey.for_int("OutreachRecipients")
SEARCH_ATTRIBUTES = (STAGE, TRIGGER, REASON, OWNER, WAITING_ON, DEADLINE, RECIPIENTS)

STUCK = "ExecutionStatus='Running' AND OutreachStage IN ('approval_overdue','needs_attention','escalated')"
"""The saved query of ops people: everything that waits for a person longer than it should."""


class Stage(StrEnum):
    """Where an outreach stands, as the search attribute `OutreachStage` shows it."""

    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVAL_OVERDUE = "approval_overdue"
    SENDING = "sending"
    PAUSED = "paused"
    AWAITING_WINDOW = "awaiting_window"
    NEEDS_ATTENTION = "needs_attention"
    ESCALATED = "escalated"
    CLOSED = "closed"


class Ending(StrEnum):
    """How an outreach ended."""

    MEASURED = "measured"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CLEARED = "cleared"
    ABORTED = "aborted"
    NOTHING_TO_DO = "nothing_to_do"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"


def outreach_id(trigger: str, key: str, episode: int) -> str:
    """Returns the workflow id of a condition's outreach."""
    return f"outreach/{trigger}/{key}/{episode}"


def library_id(playbook: str, version: str) -> str:
    """Returns the workflow id of the change that lets a playbook's version go live."""
    return f"library/{playbook}/{version}"


def permit_id(permit: str) -> str:
    """Returns the workflow id of a standing permit; its decisions name it too."""
    return f"permit/{permit}"


def resume_id(pause: str) -> str:
    """Returns the workflow id of the end of a pause of everything; its decisions name it too."""
    return f"resume/{pause}"


def continue_id(outreach: str, revision: int) -> str:
    """Returns the name under which people decide whether those behind the first few are told too."""
    return f"continue/{outreach}/{revision}"


def exception_id(request: str) -> str:
    """Returns the workflow id of a request for an exception; its decisions name it too."""
    return f"exception/{request}"


def feed_id(endpoint: str) -> str:
    """Returns the workflow id of what tells one other system what happens."""
    return f"feed/{endpoint}"


def survey_id(outreach: str) -> str:
    """Returns the workflow id of what asks both arms of a closed outreach how it was."""
    return f"survey/{outreach}"


def send_queue(channel: str, *, urgent: bool = False) -> str:
    """Returns the task queue on which the pages of `channel` are dispatched; urgent ones do not stand behind others."""
    return f"{SEND_QUEUE_PREFIX}{channel}{'-urgent' if urgent else ''}"


def starting_attributes(condition: Condition) -> TypedSearchAttributes:
    """Returns the search attributes to start with: an outreach whose very first task fails is found by them."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(STAGE, Stage.PLANNING.value),
            SearchAttributePair(TRIGGER, condition.trigger),
            SearchAttributePair(RECIPIENTS, len(condition.subjects)),
        ]
    )


class DecisionEnvelope(Outside):
    """Is a decision as it travels: the signed document and its armoured SSH signature."""

    document: dict[str, object]
    signature: str = Field(max_length=8_192)


class DecisionAnswer(Answer):
    """Says what became of a submitted decision; `status` is how things stand, `pending` while others must agree.

    Of an accepted one `approvals` counts those that stand together, and `needed` how many it takes. `kind` tells what
    was decided: `outreach` about a revision, `continue` about those behind its first few.
    """

    accepted: bool
    kind: str = "outreach"
    decision: str = ""
    approver: str = ""
    revision: int = 0
    code: str = ""
    message: str = ""
    status: str = ""
    approvals: int = 0
    needed: int = 0


class Event(Outside):
    """Is a fact signalled to a running outreach; the same `event_id` twice counts once."""

    event_id: str = Field(min_length=1, max_length=200)
    by: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=500)


class Pause(Event):
    """Holds an outreach, or lets it go on; with `harm` people are asked, and `note` says what was seen."""

    paused: bool = True
    harm: bool = False


EscalationKind = Literal[
    "attention", "harm", "overdue", "promise_at_risk", "negative_reply", "raised", "calls_waiting", "unknown_sends"
]
"""What may need a person, the most pressing first: it cannot go on, it does harm, a decision is late, a promise is at
risk, customers answered badly, somebody raised it, calls wait to be made, or messages are unknown."""


class Escalate(Event):
    """Says from outside that an outreach needs a person; `note` tells why, in words without personal data."""

    kind: Literal["negative_reply", "raised"] = "raised"


class Acknowledgement(Event):
    """Says that somebody is on it; with `done` that it is settled, where nothing else ends its cause."""

    done: bool = False


class Draft(Event):
    """Drafts what nobody planned, for those who received `step`: a correction of it, or a free update to it.

    `text` is the content of its file, as docs/playbooks.md tells; `by` never counts among those who approve it, to whom
    `note` says why.
    """

    kind: Literal["correction", "free-update"] = "correction"
    step: str = Field(default="initial", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    text: str = Field(min_length=1, max_length=200_000)
    by: str = Field(min_length=1, max_length=200)
    note: str = Field(min_length=1, max_length=500)


class DraftAnswer(Answer):
    """Says what became of a draft: its own step, its version and how many received what it is for, or why not."""

    accepted: bool
    code: str = ""
    message: str = ""
    step: str = ""
    version: str = ""
    recipients: int = 0


class LibraryProposal(Outside):
    """Proposes that a playbook goes live, word for word; `proposer` never counts among those who approve it."""

    text: str = Field(min_length=1, max_length=200_000)
    proposer: str = Field(min_length=1, max_length=200)


class PermitProposal(Outside):
    """Proposes to permit outreaches of a playbook in advance; what is left out is as much as the playbook lets be.

    `cost_micros` is the most that they may come to in all, in millionths of `currency`; without one it is not bounded.
    """

    playbook: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    proposer: str = Field(min_length=1, max_length=200)
    per_outreach: int | None = Field(default=None, ge=1)
    in_all: int | None = Field(default=None, ge=1)
    valid_until: AwareDatetime | None = None
    cost_micros: int = Field(default=0, ge=0)
    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")


class RevisionView(Answer):
    """Shows one plan revision."""

    number: int
    recipients: int
    status: Literal["pending", "approved", "rejected", "expired", "replaced", "changes_requested", "cleared", "aborted"]
    decide_by: AwareDatetime
    step: str = ""
    root: str = ""


class EscalationView(Answer):
    """Shows what needs a person: at which of its levels it stands, and who is on it since when."""

    kind: EscalationKind
    text: str
    opened_at: AwareDatetime
    level: int
    levels: int
    waiting_on: str
    next_at: AwareDatetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: AwareDatetime | None = None


class View(Answer):
    """Is the answer of the query `view`."""

    outreach: str
    trigger: str
    stage: Stage
    waiting_on: str = ""
    deadline: AwareDatetime | None = None
    details: str = ""
    paused: bool = False
    revisions: tuple[RevisionView, ...] = ()
    escalations: tuple[EscalationView, ...] = ()
    refused_messages: int = 0


class Result(Answer):
    """Is the result of an outreach workflow: its ending, in counts only."""

    ending: Ending
    reason: str = ""
    recipients: int = 0
    accepted: int = 0
    withheld: int = 0
    failed: int = 0
    unknown: int = 0
    grade: str = ""


class ExceptionAsked(Outside):
    """Is what a starter of an ExceptionRequest sends: a customer asks for more than the message.

    `request` is its id and the idempotency key of its execution; `amount_minor` is what it costs, in the minor unit of
    `currency`; `requester` puts it and never grants it; `ticket` is an opaque reference of your own.
    """

    request: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    outreach: str = Field(min_length=1, max_length=500)
    customer: str = Field(min_length=1, max_length=200)
    kind: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    amount_minor: int = Field(ge=0, le=1_000_000_000)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    requester: str = Field(min_length=1, max_length=200)
    ticket: str = Field(default="", max_length=100)


class ExceptionEnding(StrEnum):
    """How a request for an exception ended."""

    EXECUTED = "executed"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"


class ExceptionView(Answer):
    """Is how a request for an exception stands, as the query `view` answers."""

    request: str
    stage: Stage
    status: str
    waiting_on: str = ""
    deadline: AwareDatetime | None = None
    details: str = ""
    needed: int = 0
    refused_messages: int = 0


class ExceptionResult(Answer):
    """Is the result of an ExceptionRequest; `ask` says whom to ask after a refusal, `answer` what the customer got."""

    ending: ExceptionEnding
    code: str = ""
    reason: str = ""
    ask: str = ""
    answer: str = ""


WIRE_MODELS = (
    Condition,
    DecisionEnvelope,
    DecisionAnswer,
    Draft,
    DraftAnswer,
    Event,
    Pause,
    Escalate,
    Acknowledgement,
    View,
    Result,
    ExceptionAsked,
    ExceptionView,
    ExceptionResult,
)
"""The models whose JSON schema is published."""
