"""The state of an outreach: all of it, in one serialisable structure that continue-as-new carries on."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

from tellfirst.contract import DecisionAnswer
from tellfirst.domain.plan import PageSpan, Plan, PlannedStep, RevisionStatus, Rung, spans_of
from tellfirst.domain.recipient import Wave
from workflows.escalations import Escalation, Escalations

Status = RevisionStatus
SEEN_EVENTS = 500


class Sending(BaseModel):
    """Is a step on its way: `spans` are its pages that have still to leave, in their order."""

    step: str
    spans: list[PageSpan] = Field(default_factory=list)
    in_doubt: int = 0
    broken: int = 0  # promised messages that it was too late for
    fallback: int = 0  # so many times in turn it was found lost and sent on by another channel

    def take(self) -> int | None:
        """Returns the next page, which then leaves; None when none is left."""
        if not self.spans:
            return None
        page, end = self.spans[0].first, self.spans[0].end
        self.spans[:1] = [PageSpan(first=page + 1, end=end)] if page + 1 < end else []
        return page

    def put_back(self, page: int) -> None:
        """Has a page that was taken leave again, before the others."""
        self.spans.insert(0, PageSpan(first=page, end=page + 1))

    def end_at(self, page: int) -> None:
        """Leaves out every page from one on."""
        self.spans = [PageSpan(first=s.first, end=min(s.end, page)) for s in self.spans if s.first < page]


class Lookout(BaseModel):
    """Says when to look for whom a step was lost that left `since`, after so many rounds of fallback."""

    step: str
    at: datetime
    since: datetime
    fallback: int = 0


class Deferred(BaseModel):
    """Is a step's pages that hold messages whose hour has not come: they leave once more at that instant."""

    at: datetime
    sending: Sending


class Canary(BaseModel):
    """Is the rest of a revision, which waits for a person once the first few were told."""

    told: int
    rest: int
    opened_at: datetime
    remind_at: datetime
    escalate_at: datetime
    decide_by: datetime
    status: Literal["pending", "approved", "rejected", "expired", "cleared", "aborted"] = "pending"
    reminded: bool = False
    escalated: bool = False
    drawn: bool = False  # the rest has its arms

    @property
    def waits(self) -> bool:
        """Returns whether a person still has to let the rest go."""
        return self.status == "pending"

    @property
    def leaves(self) -> bool:
        """Returns whether a person has let the rest go."""
        return self.status == "approved"


class Revision(BaseModel):
    """Is one plan revision and how far it has come."""

    plan: Plan
    status: Status = "pending"
    approvals: int = 0  # how many stand while more are needed
    reminded: bool = False
    escalated: bool = False
    wave: Wave | None = None
    canary: Canary | None = None
    t0: datetime | None = None
    sending: Sending | None = None
    due: list[Sending] = Field(default_factory=list)  # what leaves next
    lookouts: list[Lookout] = Field(default_factory=list)
    deferred: list[Deferred] = Field(default_factory=list)  # pages to come back to
    updates_done: int = 0
    at_risk: str = ""  # the promised step whose owner was told that it cannot leave
    resolved_sent: bool = False
    over: int = 0
    anew: bool = False  # it went on from the records: a page may have been left half-way

    @property
    def sent_back(self) -> bool:
        """Returns whether another plan is wanted in its place; a draft that was sent back is drafted anew by people."""
        return self.status == "changes_requested" and not self.plan.unplanned

    @property
    def open(self) -> bool:
        """Returns whether it may still be sent and nobody was drawn yet."""
        return self.wave is None and self.status in ("pending", "approved", "changes_requested")

    @property
    def awaits_people(self) -> bool:
        """Returns whether a signed word is waited for, about all of it or about the rest."""
        return self.status == "pending" or (self.canary is not None and self.canary.waits)

    @property
    def decide_by(self) -> datetime:
        """Returns until when that word may come."""
        return self.plan.decide_by if self.canary is None else self.canary.decide_by

    @property
    def reach(self) -> int:
        """Returns how many of its pages may leave: after the first few the others wait for a person."""
        held = self.plan.canary and not (self.canary and self.canary.leaves)
        return self.plan.canary if held else self.plan.page_count

    def send(self, step: PlannedStep) -> None:
        """Has a step leave next, on all pages that may."""
        self.due.append(Sending(step=step.id, spans=[PageSpan(first=0, end=self.reach)]))

    def defer(self, sending: Sending, page: int, at: datetime) -> None:
        """Comes back to a page of a step at an instant."""
        rest = sending.model_copy(update={"spans": [], "in_doubt": 0, "broken": 0})
        alike = (d for d in self.deferred if d.at == at and d.sending.model_copy(update={"spans": []}) == rest)
        if (later := next(alike, None)) is None:
            later = Deferred(at=at, sending=rest)
            self.deferred.append(later)
        waiting = {n for span in later.sending.spans for n in range(span.first, span.end)}
        later.sending.spans = list(spans_of(waiting | {page}))

    def resume_deferred(self, now: datetime) -> None:
        """Has those pages leave whose instant has come."""
        self.due += [later.sending for later in self.deferred if later.at <= now]
        self.deferred = [later for later in self.deferred if later.at > now]

    @property
    def drawn(self) -> int:
        """Returns how many were drawn into an arm."""
        return self.wave.treated + self.wave.control if self.wave is not None else 0

    @property
    def next_wave(self) -> datetime | None:
        """Returns when those who wait for their slot are looked at again; None when nobody waits."""
        told = self.status == "approved" and (self.canary is None or self.canary.leaves)
        return self.wave.next_at if self.wave is not None and told else None

    def look_again(self, at: datetime) -> None:
        """Has those who wait for their slot looked at from an instant on."""
        if self.wave is not None and self.wave.next_at is not None:
            self.wave = self.wave.model_copy(update={"next_at": at})

    @property
    def rest_is_open(self) -> bool:
        """Returns whether it is not settled yet what becomes of those behind the first few."""
        if not self.plan.canary or self.wave is None or self.status != "approved":
            return False
        return self.canary is None or self.canary.waits or self.rest_leaves

    @property
    def rest_leaves(self) -> bool:
        """Returns whether those behind the first few may be told and no wave of them was drawn yet."""
        return self.canary is not None and self.canary.leaves and not self.canary.drawn

    @property
    def on_its_way(self) -> str:
        """Returns the step that is leaving or leaves next; empty when there is none."""
        return self.sending.step if self.sending else next((one.step for one in self.due), "")

    def planned(self, step: str) -> PlannedStep:
        """Returns the step of that id."""
        return next(one for one in self.plan.steps if one.id == step)

    @property
    def next_update(self) -> PlannedStep | None:
        """Returns the next promised step."""
        updates = self.plan.updates
        return updates[self.updates_done] if self.updates_done < len(updates) else None

    @property
    def window_end(self) -> datetime | None:
        """Returns when the last window of this revision closes."""
        return None if self.t0 is None else self.t0 + self.plan.window


class State(BaseModel):
    """Is one outreach between two workflow tasks."""

    trigger: str
    revisions: list[Revision] = Field(default_factory=list)
    planned: int = 0
    early: list[DecisionAnswer] = Field(default_factory=list)  # decisions on a revision whose plan is not back yet
    grow: bool = False  # subjects that no revision has planned for were seen
    drafted: int = 0  # drafts of corrections and free updates that were kept
    drafts: list[str] = Field(default_factory=list)  # versions of those that no revision was planned of yet
    look: Literal["", "look", "cleared"] = ""
    cleared: bool = False
    paused: bool = False
    aborted: str = ""
    attention: str = ""  # why a person is needed; empty when none is
    attention_since: datetime | None = None
    escalations: Escalations = Field(default_factory=Escalations)
    reason: str = ""  # why it was rejected
    retry_at: datetime | None = None  # pages held by pause-all are tried again then
    contacts_at: datetime | None = None  # contacts had not arrived; they are asked for again then
    refused: int = 0
    seen: list[str] = Field(default_factory=list)

    @property
    def to_plan(self) -> bool:
        """Returns whether another revision is wanted: for new subjects, of a draft, or instead of one sent back."""
        return self.grow or bool(self.drafts) or any(r.sent_back for r in self.revisions)

    @property
    def randomised(self) -> bool:
        """Returns whether anyone was drawn into an arm: from then on the outreach ends measured."""
        return any(r.drawn for r in self.revisions)

    @property
    def recipients(self) -> int:
        """Returns how many are planned for; a revision that another replaced, or a correction, does not count."""
        return sum(r.plan.recipients for r in self.revisions if r.status != "replaced" and not r.plan.unplanned)

    @property
    def window_end(self) -> datetime | None:
        """Returns when the last window closes."""
        return max((r.window_end for r in self.revisions if r.window_end is not None), default=None)

    def ask(self, why: str, now: datetime) -> None:
        """Asks for a person; nothing more is sent until the outreach is resumed."""
        self.attention, self.attention_since = why[:200], now
        self.escalations.escalate("attention", "attention", self.attention, now)

    def rungs(self, one: Escalation) -> tuple[Rung, ...]:
        """Returns who is told of an escalation, level by level, as its revision or the latest one says."""
        plans = [r.plan for r in self.revisions if r.plan.revision == one.revision or not one.revision][-1:]
        return next((plan.ladder or (Rung(to=plan.owner),) for plan in plans), ())

    def over(self, one: Escalation) -> bool:
        """Returns whether the cause of an escalation has ended."""
        revision = next((r for r in self.revisions if r.plan.revision == one.revision), None)
        if one.kind == "attention":
            return not self.attention
        if one.kind == "harm":
            return not self.paused or bool(self.aborted)
        if one.kind == "overdue":
            return revision is None or not revision.awaits_people
        if one.kind == "promise_at_risk":
            owed = None if revision is None else promised(self, revision)
            return owed is None or owed.id != one.cause.rpartition(":")[2]
        return False

    def first_time(self, event_id: str) -> bool:
        """Returns whether this event is new, and remembers it."""
        if event_id in self.seen:
            return False
        self.seen = [*self.seen[-SEEN_EVENTS:], event_id]
        return True


def promised(state: State, revision: Revision) -> PlannedStep | None:
    """Returns the next update that this revision still owes its customers."""
    owes = (
        revision.status == "approved"
        and revision.wave is not None
        and not state.cleared
        and not state.aborted
        and revision.wave.treated > 0
    )
    return revision.next_update if owes else None


def falls_due(state: State, revision: Revision) -> PlannedStep | None:
    """Returns the update to prepare at its time; None while its owner knows that it cannot leave."""
    update = promised(state, revision)
    known = update is not None and revision.at_risk == update.id and hindrance(state, revision)
    return None if known else update


def wave_at(state: State, revision: Revision) -> datetime | None:
    """Returns when the next wave of a revision is due; while it is held, only to give up whom it comes too late for."""
    at = revision.next_wave
    if at is None or state.aborted:
        return None
    if state.paused or state.attention:
        return max(at, revision.plan.initial.not_after)
    return max(at, state.retry_at or at)


def hindrance(state: State, revision: Revision) -> str:
    """Returns why nothing new of this revision can leave now; empty when it can."""
    if state.attention:
        return state.attention
    if state.paused:
        return "the outreach is paused"
    return f"'{revision.on_its_way}' is still on its way" if revision.on_its_way else ""


def next_deadline(state: State) -> tuple[datetime, str] | None:
    """Returns the next instant at which something is to be done, and its name; None when only people can go on."""
    deadlines: list[tuple[datetime, str]] = []
    for revision in state.revisions:
        plan = revision.plan
        if revision.status == "pending":
            if not revision.reminded:
                deadlines.append((plan.remind_at, "remind"))
            if not revision.escalated:
                deadlines.append((plan.escalate_at, "escalate"))
            deadlines.append((plan.decide_by, "expire"))
            continue
        if (canary := revision.canary) is not None and canary.waits and not (state.aborted or state.cleared):
            if not canary.reminded:
                deadlines.append((canary.remind_at, "remind"))
            if not canary.escalated:
                deadlines.append((canary.escalate_at, "escalate"))
            deadlines.append((canary.decide_by, "expire"))
        if (update := falls_due(state, revision)) is not None and update.act_at is not None:
            deadlines.append((update.act_at, "promise"))
        if (at := wave_at(state, revision)) is not None:
            deadlines.append((at, "wave"))
        deadlines += [(later.at, "deferred") for later in revision.deferred]
        if not (state.paused or state.attention or state.aborted):
            deadlines += [(max(one.at, state.retry_at or one.at), "fallback") for one in revision.lookouts]
    if state.retry_at is not None:
        deadlines.append((state.retry_at, "retry"))
    # What is on its way or may be lost leaves before anything is measured, unless only a person can let it go on.
    leaving = any(r.on_its_way or r.lookouts for r in state.revisions) and not (state.paused or state.attention)
    leaving |= any(r.deferred for r in state.revisions)
    if state.randomised and not owing(state) and not leaving and (end := state.window_end) is not None:
        deadlines.append((max(state.contacts_at or end, end), "window"))
    return min(deadlines, default=None)


def overdue(state: State, now: datetime) -> str:
    """Returns the name of what is to be done now; empty when nothing is."""
    deadline = next_deadline(state)
    return deadline[1] if deadline is not None and deadline[0] <= now else ""


def owing(state: State) -> bool:
    """Returns whether a plan, a decision or a promise is still open, so that the outreach may not close."""
    return state.to_plan or any(
        r.status == "pending"
        or (r.status == "approved" and r.wave is None)
        or (r.next_wave is not None and not state.aborted)
        or (r.rest_is_open and not state.cleared and not state.aborted)
        or promised(state, r) is not None
        for r in state.revisions
    )


RETRY = timedelta(seconds=30)
"""How often a page held by pause-all is tried again."""
