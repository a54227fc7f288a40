"""The kinds of decisions: what each one binds. Everything that can cause a message is one of these.

A proposal holds what is bound; a decision is the same fields and what somebody decided about them. Two classes for each
kind, so that one document is one flat JSON object which anybody can sign with stock tools.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tellfirst.contract import continue_id, library_id, permit_id, resume_id
from tellfirst.domain.base import Outside
from tellfirst.signing.documents import Choice, Count, Instant, Name

Id = Annotated[str, StringConstraints(min_length=1, max_length=500)]
FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""Stands where a decision holds until it is revoked."""


class Bound(Outside, ABC):
    """Holds what every decision binds: where it counts, until when it may be made, and until when it holds."""

    v: Literal[1] = 1
    kind: str
    environment: Name
    decide_by: Instant
    valid_until: Instant
    nonce: Name

    @property
    @abstractmethod
    def about(self) -> str:
        """Returns the name of what is decided; two proposals about the same thing share it."""

    def document(self) -> dict[str, object]:
        """Returns the plain JSON values: what is stored, sent and signed."""
        return self.model_dump(mode="json")


class Decided(Outside):
    """Holds what was decided, by whom and when; `prior` is the digest of the first approval where two are needed."""

    decision: Choice
    approver: Name
    issued_at: Instant
    reason: Annotated[str, StringConstraints(max_length=1_000)] = ""
    prior: Annotated[str, StringConstraints(max_length=64)] = ""


class StepBinding(Outside):
    """Binds what one step may say.

    `templates` maps `channel.locale` to the digest of its template. With `frozen` facts every text stands in the
    audience root; with `refreshed` facts `fields` names each field that may change and its type and bounds.
    """

    templates: dict[Name, Name]
    facts: Literal["frozen", "refreshed"]
    fields: dict[Name, dict[Name, int | str | None]] = Field(default_factory=dict)


class Proposal(Bound):
    """Is what a plan revision offers for decision: words, people, channels, promises, cost.

    `cost_micros` is the estimate for everything promised, in millionths of `currency`. `proposer` and `editor` (who
    proposed the playbook's version) never count among the approvers. The first `canary` pages of the audience leave
    first, and the others only under a signed `Continue`; with 0 all leave at once. `fallbacks` counts, by channel, who
    may be told by it where the channels before it fail. `addendum` says what an unplanned text is to which step, such
    as `correction/initial`.
    """

    kind: Literal["outreach"] = "outreach"
    outreach: Id
    revision: Count
    playbook: Name
    playbook_version: Name
    steps: dict[Name, StepBinding]
    audience_root: Name
    audience_count: Count
    canary: Count = 0
    channels: dict[Name, Count]
    fallbacks: dict[Name, Count] = Field(default_factory=dict)
    purpose: Name
    promises: dict[Name, Instant]
    proposer: Annotated[str, StringConstraints(max_length=200)] = ""
    editor: Annotated[str, StringConstraints(max_length=200)] = ""
    addendum: Annotated[str, StringConstraints(max_length=100)] = ""
    cost_micros: Count = 0
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""

    @property
    def about(self) -> str:
        """Returns the outreach."""
        return self.outreach

    def decide(
        self, decision: Choice, approver: str, issued_at: datetime, reason: str = "", prior: str = ""
    ) -> "OutreachDecision":
        """Returns the decision to sign; `issued_at` is an aware instant, `approver` a principal of the registry."""
        decided = decide(self, decision, approver, issued_at, reason, prior)
        assert isinstance(decided, OutreachDecision)  # noqa: S101 - by its kind
        return decided


class OutreachDecision(Proposal, Decided):
    """Is what an approver of an outreach signs."""


class Permit(Bound):
    """Permits outreaches of one playbook version in advance: at most so many people at a time and in all.

    With a `currency`, they may come to `cost_micros` in all, in millionths of it; without one, cost is not bounded.
    """

    kind: Literal["permit"] = "permit"
    permit: Id
    playbook: Name
    playbook_version: Name
    channels: tuple[Name, ...]
    per_outreach: Count
    in_all: Count
    cost_micros: Count = 0
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    proposer: Annotated[str, StringConstraints(max_length=200)] = ""
    editor: Annotated[str, StringConstraints(max_length=200)] = ""

    @property
    def about(self) -> str:
        """Returns the permit."""
        return permit_id(self.permit)


class PermitDecision(Permit, Decided):
    """Is what the person one level up signs."""


class Continue(Bound):
    """Lets the rest of an approved revision go, after the first few; holds once."""

    kind: Literal["continue"] = "continue"
    outreach: Id
    revision: Count
    audience_root: Name
    sent: Count
    rest: Count

    @property
    def about(self) -> str:
        """Returns the outreach's canary."""
        return continue_id(self.outreach, self.revision)


class ContinueDecision(Continue, Decided):
    """Is what an approver signs after the canary."""


class Resume(Bound):
    """Lets everything go on after a pause of everything; two people sign it."""

    kind: Literal["resume"] = "resume"
    pause: Id
    paused_by: Name
    paused_at: Instant

    @property
    def about(self) -> str:
        """Returns the pause."""
        return resume_id(self.pause)


class ResumeDecision(Resume, Decided):
    """Is what each of the two signs."""


class LibraryChange(Bound):
    """Lets a playbook version go live; `checklist` names what was gone through, `data` whether its fields changed."""

    kind: Literal["library"] = "library"
    playbook: Name
    playbook_version: Name
    replaces: Annotated[str, StringConstraints(max_length=200)] = ""
    data_changed: bool
    checklist: tuple[Annotated[str, StringConstraints(max_length=300)], ...] = ()
    proposer: Name

    @property
    def about(self) -> str:
        """Returns the version."""
        return library_id(self.playbook, self.playbook_version)


class LibraryDecision(LibraryChange, Decided):
    """Is what a library approver signs, with an answer to each point of the checklist."""

    answers: tuple[Annotated[str, StringConstraints(max_length=300)], ...] = ()

    @model_validator(mode="after")
    def _every_point_is_answered(self) -> Self:
        if self.decision == "approve" and (
            len(self.answers) != len(self.checklist) or not all(answer.strip() for answer in self.answers)
        ):
            raise ValueError("each point of the checklist has an answer")
        return self


class Grant(Bound):
    """Grants one exception to one customer: kind, amount, and the very answer they get."""

    kind: Literal["exception"] = "exception"
    request: Id
    outreach: Annotated[str, StringConstraints(max_length=500)] = ""
    customer: Name
    exception: Name
    amount_minor: Count
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    answer_digest: Name
    requester: Name
    ticket: Annotated[str, StringConstraints(max_length=100)] = ""

    @property
    def about(self) -> str:
        """Returns the request."""
        return f"exception/{self.request}"


class GrantDecision(Grant, Decided):
    """Is what the person whose boundary covers it signs."""


Decision = OutreachDecision | PermitDecision | ContinueDecision | ResumeDecision | LibraryDecision | GrantDecision

PROPOSALS: Mapping[str, type[Bound]] = {
    "outreach": Proposal,
    "permit": Permit,
    "continue": Continue,
    "resume": Resume,
    "library": LibraryChange,
    "exception": Grant,
}
DECISIONS: Mapping[str, type[Decision]] = {
    "outreach": OutreachDecision,
    "permit": PermitDecision,
    "continue": ContinueDecision,
    "resume": ResumeDecision,
    "library": LibraryDecision,
    "exception": GrantDecision,
}


def decide(
    proposal: Bound,
    decision: Choice,
    approver: str,
    issued_at: datetime,
    reason: str = "",
    prior: str = "",
    **more: object,
) -> Decision:
    """Returns the decision about any proposal, ready to be signed; `more` is what only its kind asks for."""
    bound = {name: getattr(proposal, name) for name in type(proposal).model_fields}
    told = {"decision": decision, "approver": approver, "issued_at": issued_at, "reason": reason, "prior": prior}
    return DECISIONS[proposal.kind].model_validate({**bound, **told, **more})


def differences(proposal: Bound, decision: Decision) -> list[str]:
    """Returns the names of the bound fields in which `decision` differs from `proposal`, in the document's order."""
    missing = object()
    return [n for n in type(proposal).model_fields if getattr(proposal, n) != getattr(decision, n, missing)]
