"""The playbook: how one trigger is detected, who owns it, what may be said, who approves, what is promised."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tellfirst.domain.base import Outside
from tellfirst.domain.condition import FactValue, Word
from tellfirst.domain.message import Channel
from tellfirst.domain.plan import INITIAL, RESOLVED, UNPLANNED, Rung, StepKind
from tellfirst.playbooks.boundaries import Boundary, ExceptionKind
from tellfirst.playbooks.harm import Harm
from tellfirst.playbooks.ladder import Level, rungs
from tellfirst.playbooks.standing import Standing
from tellfirst.playbooks.survey import Survey
from tellfirst.playbooks.types import Duration, Person, TemplateName, Text
from tellfirst.playbooks.when import When
from tellfirst.policy.quiet import Timing

Purpose = Literal["transactional", "service", "marketing"]
Category = Literal["operational", "security", "fraud", "safety", "recall", "legal_notice"]
Point = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=250)]
StepId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]

_UNPLANNED_ID = re.compile(rf"(?:{'|'.join(sorted(UNPLANNED))})-[0-9]+")

NO_HOLDOUT: frozenset[Category] = frozenset({"security", "fraud", "safety", "recall", "legal_notice"})
FIRST_FEW = 50
"""A canary has at most so many recipients, and no more than 5 % of all."""
PERSONAL_FORBIDDEN: frozenset[Channel] = frozenset({"sms", "whatsapp", "voice", "push"})
"""Channels on which a field of class `personal` may not travel: they lie open on a lock screen, or are overheard."""


class Owners(Outside):
    """Names who owns the playbook, proposes, approves (roles), is accountable, and which team executes."""

    owner: Person
    proposers: tuple[Person, ...] = Field(min_length=1)
    approvers: tuple[Person, ...] = Field(min_length=1)
    accountable: Person
    team: Person


class Checklist(Outside):
    """Says what whoever lets this playbook go live makes sure of: each is a sentence to be answered."""

    facts: Point
    tone: Point
    exceptions: Point
    replies: Point


class Parameter(Outside):
    """Is a named value of a rule, bound and never pasted into SQL."""

    type: Literal["integer", "text"]
    default: FactValue
    description: Text


class Detector(Outside):
    """Says how the condition is seen.

    `sql` maps a dialect (`sqlite`, `postgresql`) to one SELECT that yields `subject_key`, `customer_ref`, `since`
    (when the condition began for that subject) and the declared subject fields; it may bind `:at` (ISO 8601 UTC text)
    and the parameters. Kind `event` has no SQL: a service starts and clears the condition itself.
    """

    kind: Literal["sql", "event"]
    sql: dict[Literal["sqlite", "postgresql"], Text] = Field(default_factory=dict)
    parameters: dict[Word, Parameter] = Field(default_factory=dict)
    group_by: tuple[Word, ...] = ()
    max_age: Duration
    hold_down: Duration = timedelta(0)
    every: Duration = timedelta(minutes=15)
    row_limit: int = Field(default=100_000, ge=1, le=1_000_000)
    timeout: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _sql_when_sql(self) -> Self:
        if (self.kind == "sql") != bool(self.sql):
            raise ValueError("kind 'sql' needs [detector.sql], and kind 'event' must not have it")
        return self


class DataField(Outside):
    """Declares one field that templates may see; nothing else reaches them.

    `source`: `condition` = shared by all, `subject` = one value per affected thing, `customer` = from our customer
    table (only `first_name`). `refreshed` lets an update read the value again, inside `minimum` and `maximum`.
    """

    type: Literal["text", "integer", "date", "datetime", "money", "url"]
    class_: Literal["operational", "personal"] = Field(alias="class")
    source: Literal["condition", "subject", "customer"]
    description: Text
    max_length: int = Field(default=80, ge=1, le=500)
    minimum: int | None = None
    maximum: int | None = None
    required: bool = True
    refreshed: bool = False


class AudienceQuery(Outside):
    """Is a named SELECT with the same columns as the detector's, for conditions that name their audience."""

    sql: dict[Literal["sqlite", "postgresql"], Text]
    parameters: dict[Word, Parameter] = Field(default_factory=dict)


class Parts(Outside):
    """Is one message on one channel in one locale: the five parts, why we write, and the way out; each is Liquid.

    Where the provider keeps the words (WhatsApp), `template` is the name that they are registered by.
    """

    template: TemplateName | None = None
    subject: Text | None = None
    know: Text
    doing: Text
    now: Text
    next: Text
    human: Text
    why: Text
    out: Text | None = None


class Step(Outside):
    """Is one planned message.

    `initial` opens; an `update` keeps the promise that falls due `after` planning and is prepared `lead` earlier;
    `resolved` goes out instead when the condition has cleared. `expires` is how long after it was due a message
    still makes sense. A `correction` and a `free-update` stand in an addendum alone. The effect log knows a step by its
    id alone, so the opening and the closing step are named like their kinds, unplanned ones by kind and number, and no
    update is named like these.
    """

    kind: StepKind
    id: StepId
    after: Duration | None = None
    lead: Duration = timedelta(0)
    expires: Duration = timedelta(hours=24)
    messages: dict[Channel, dict[str, Parts]] = Field(min_length=1)

    @field_validator("id")
    @classmethod
    def _named_like_its_kind(cls, id_: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        named = {"initial": INITIAL, "resolved": RESOLVED}.get(kind or "")
        if named is not None and id_ != named:
            raise PydanticCustomError(
                "step_id", "a step of kind '{kind}' has the id '{named}'", {"kind": kind, "named": named}
            )
        if (kind in UNPLANNED) != bool(_UNPLANNED_ID.fullmatch(id_)):
            raise PydanticCustomError(
                "step_id", "ids such as 'correction-1' are kept for addenda", {"named": "update-1"}
            )
        if kind == "update" and id_ in (INITIAL, RESOLVED):
            raise PydanticCustomError(
                "step_id", "this id is kept for the step of kind '{kind}'", {"kind": id_, "named": "update-1"}
            )
        return id_

    @model_validator(mode="after")
    def _promise_has_a_time(self) -> Self:
        if (self.kind == "update") != (self.after is not None):
            raise ValueError(f"step '{self.id}': a step of kind 'update' needs 'after', and only such a step has it")
        return self


class Approval(Outside):
    """Says how long a decision may take and hold, and how many must agree: durations count from planning.

    Above `tripwire` recipients one more person must agree, and it goes to the first few alone until a person lets it go
    on; with `canary` it always does. With `standing`, smaller ones may be permitted in advance.
    """

    remind_after: Duration
    escalate_after: Duration
    expires_after: Duration
    quorum: int = Field(default=1, ge=1, le=2)
    tripwire: int = Field(default=10_000, ge=1)
    canary: bool = False
    standing: Standing | None = None

    def needed(self, recipients: int) -> int:
        """Returns how many distinct people must approve a message to so many recipients."""
        return self.quorum + (recipients > self.tripwire)

    def first_few(self, recipients: int) -> int:
        """Returns how many of so many recipients are told before the others have to wait; 0 when none has to."""
        if recipients < 2 or not (self.canary or recipients > self.tripwire):
            return 0
        return max(1, min(FIRST_FEW, recipients // 20))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not timedelta(0) < self.remind_after <= self.escalate_after <= self.expires_after:
            raise ValueError("approval needs 0 < remind_after <= escalate_after <= expires_after")
        return self


class Measure(Outside):
    """Says what the outreach is measured by: its window, its hold-out share, and how long to wait for contacts.

    Where nobody may be left out, a `phased` one tells everybody in one of `phases`, a `phase` apart, that chance
    chooses: who is told later is compared with who was told earlier, until then.
    """

    window: Duration
    holdout: float = Field(ge=0, le=0.9)
    watermark_timeout: Duration = timedelta(days=3)
    phased: bool = False
    phases: int = Field(default=2, ge=2, le=6)
    phase: Duration | None = None

    @model_validator(mode="after")
    def _phased_or_held_out(self) -> Self:
        if self.phased != (self.phase is not None):
            raise ValueError("'phased = true' needs 'phase', the time between two phases, and only then it has one")
        if self.phased and self.holdout:
            raise ValueError("a phased outreach has a hold-out of 0: everybody is told in the end")
        return self


class Limits(Outside):
    """Bounds what one customer and one message may cost."""

    sms_segments: int = Field(default=3, ge=1, le=6)
    cap_exempt: bool = False


class Choice(Outside):
    """Says by which of its channels each recipient is told.

    `order` is that of urgency, or of the playbook's own list. With `high_value` somebody of ours calls accounts of high
    value, and is reminded after `call_within`. A message lost on one channel goes by the next, for which it is looked
    at once, after `fallback_after` and once late.
    """

    order: Literal["urgency", "playbook"] = "urgency"
    high_value: Literal["person"] | None = None
    fallback_after: Duration = timedelta(minutes=15)
    call_within: Duration = timedelta(hours=1)


class Addendum(Outside):
    """Says what a text that nobody planned is added to: a playbook's version, and the step whose receivers it is for.

    `by` drafted it and never counts among those who approve it, to whom `reason` says why.
    """

    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    step: StepId
    by: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Playbook(Outside):
    """Is one trigger, whole; its version is the hash of its file.

    With `purpose_of_use` "test" it never sends in the live environment, and needs no checklist. With `addendum` it is
    no playbook of the library, but one correction or free update of an outreach.
    """

    id: Word
    title: Text
    industry: Word
    reason_code: Word
    purpose: Purpose
    category: Category
    urgency: Literal["normal", "high", "urgent"]
    shape: Literal["batch", "incident"]
    default_locale: str = Field(default="en", pattern=r"^[a-z]{2}(_[A-Z]{2})?$")
    timezone: str = "UTC"
    channels: tuple[Channel, ...] = Field(min_length=1)
    purpose_of_use: Literal["live", "test"] = "live"
    owners: Owners
    checklist: Checklist | None = None
    detector: Detector
    audience: dict[Word, AudienceQuery] = Field(default_factory=dict)
    data: dict[Word, DataField]
    approval: Approval
    ladder: tuple[Level, ...] = Field(default=(), max_length=5)
    measure: Measure
    limits: Limits = Limits()
    when: When = When()
    choice: Choice = Choice()
    harm: Harm = Harm()
    exceptions: dict[ExceptionKind, Boundary] = Field(default_factory=dict)
    survey: Survey | None = None
    addendum: Addendum | None = None
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _holdout_is_ethical(self) -> Self:
        if self.category in NO_HOLDOUT and self.measure.holdout > 0:
            raise ValueError(f"a playbook of category '{self.category}' has a hold-out of 0: nobody may be left untold")
        if self.category in NO_HOLDOUT and self.measure.phased:
            raise ValueError(f"a playbook of category '{self.category}' is not phased: nobody may be told later")
        return self

    @model_validator(mode="after")
    def _asks_whom_it_may(self) -> Self:
        if self.survey is not None and self.category in NO_HOLDOUT and not self.survey.sensitive:
            raise ValueError(f"after '{self.category}' nobody is asked, unless [survey] says sensitive = true")
        return self

    @model_validator(mode="after")
    def _permitted_one_level_up(self) -> Self:
        standing = self.approval.standing
        if standing is not None and not set(standing.approvers).isdisjoint(self.owners.approvers):
            raise ValueError("a standing permit is approved one level up, by none of the approvers of an outreach")
        return self

    @model_validator(mode="after")
    def _live_is_gone_through(self) -> Self:
        if self.purpose_of_use == "live" and self.checklist is None:
            raise ValueError("a playbook that may go live has a [checklist]: facts, tone, exceptions, replies")
        return self

    @model_validator(mode="after")
    def _wakes_whom_it_may(self) -> Self:
        if self.when.quiet_hours == "ignore" and (self.urgency != "urgent" or self.purpose == "marketing"):
            raise ValueError("only an urgent playbook, and none of marketing, may ignore quiet hours")
        return self

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        ids = [step.id for step in self.steps]
        kinds = [step.kind for step in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError("two steps have the same id")
        if self.addendum is not None:
            if len(kinds) != 1 or kinds[0] not in UNPLANNED:
                raise ValueError("an addendum has one step, a correction or a free update")
            return self
        if not UNPLANNED.isdisjoint(kinds):
            raise ValueError("a correction or a free update is drafted for an outreach, and stands in no playbook")
        if kinds[0] != "initial" or kinds.count("initial") != 1:
            raise ValueError("the first step, and only the first, is of kind 'initial'")
        if kinds.count("resolved") > 1:
            raise ValueError("at most one step is of kind 'resolved'")
        due = [step.after for step in self.steps if step.after is not None]
        if due != sorted(due) or len(set(due)) != len(due):
            raise ValueError("updates stand in the order of their 'after', each later than the one before")
        return self

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """Returns its escalation ladder, or the one of a playbook that has none."""
        return rungs(self.ladder, owner=self.owners.owner, accountable=self.owners.accountable)

    @property
    def timing(self) -> Timing:
        """Returns what it holds its messages back for."""
        return self.when.timing(self.category)

    @property
    def initial(self) -> Step:
        """Returns the opening step."""
        return self.steps[0]

    @property
    def adds(self) -> str:
        """Returns what an addendum is to which step, such as `correction/initial`; empty for the playbook itself."""
        return "" if self.addendum is None else f"{self.initial.kind}/{self.addendum.step}"

    @property
    def updates(self) -> tuple[Step, ...]:
        """Returns the promised steps in the order they fall due."""
        return tuple(step for step in self.steps if step.kind == "update")

    @property
    def resolved(self) -> Step | None:
        """Returns the step that tells customers it is over, if there is one."""
        return next((step for step in self.steps if step.kind == "resolved"), None)

    def step(self, step_id: str) -> Step:
        """Returns the step named `step_id`; raises KeyError when there is none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)
