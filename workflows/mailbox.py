"""The mailbox: everything that reaches a running outreach from outside.

Handlers only put messages in; the attendant takes them out one at a time. Messages are taken raw and judged here,
because the SDK drops a malformed one and writes what it held into the log.
"""

import json
from collections import deque
from dataclasses import dataclass
from typing import Literal

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.addenda import AddendumActivities, DraftRequest
    from activities.decisions import DecisionActivities, ReceivedDecision
    from activities.outreach import HoldRequest, OutreachActivities
    from tellfirst import contract
    from tellfirst.contract import Acknowledgement, DecisionAnswer, DecisionEnvelope, Escalate, Event, Pause
    from tellfirst.domain.condition import personal_pattern
    from workflows.options import QUICK
    from workflows.state import Revision, State
    from workflows.waiting import until

Kind = Literal["decision", "draft", "changed", "cleared", "pause", "abort", "escalate", "acknowledged"]
MODELS: dict[Kind, type[Event]] = {"pause": Pause, "escalate": Escalate, "acknowledged": Acknowledgement}
DECIDED: tuple[Literal["approved", "rejected", "changes_requested"], ...] = (
    "approved",
    "rejected",
    "changes_requested",
)
MALFORMED = object()
NOTHING = RawValue(Payload())
"""What a message without an argument carries; the SDK hands an argument over raw only where its type says just that."""


@dataclass
class Message:
    """Is one message as it came, with its number for whoever waits for the answer."""

    number: int
    kind: Kind
    raw: object


def read_json(raw: RawValue) -> object:
    """Returns the JSON of a raw argument, or MALFORMED where it is none that can be handed on and kept."""
    try:
        read: object = json.loads(raw.payload.data)
        # Half a surrogate pair can stand in JSON and in no payload, a zero byte in no text of PostgreSQL.
        kept = json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return MALFORMED
    return MALFORMED if rb"\u0000" in kept else read


class Mailbox:
    """Takes in decisions and events, and applies them to the state one after the other."""

    state: State

    def __init__(self) -> None:
        self._id = workflow.info().workflow_id
        self._waiting: deque[Message] = deque()
        self._busy = False
        self._count = 0
        self._answers: dict[int, DecisionAnswer] = {}
        self._drafts: dict[int, contract.DraftAnswer] = {}
        self.closing = False
        """Says that it is being measured: what is drafted now comes too late."""
        self.news = 0
        """Grows with every message that was applied."""

    # -- what may come

    @workflow.update(name=contract.SUBMIT_DECISION)
    async def submit_decision(self, raw: RawValue = NOTHING) -> DecisionAnswer:
        """Takes a signed decision and answers once it is judged and recorded."""
        number = self._put("decision", raw)
        await until(lambda: number in self._answers)
        return self._answers.pop(number)

    @submit_decision.validator
    def _can_be_parsed(self, raw: RawValue = NOTHING) -> None:
        try:
            DecisionEnvelope.model_validate(read_json(raw))
        except ValidationError:
            raise ApplicationError("the message is not a signed decision", type="malformed") from None

    @workflow.update(name=contract.DRAFT)
    async def draft(self, raw: RawValue = NOTHING) -> contract.DraftAnswer:
        """Takes a draft of a correction or a free update, and answers once it is kept."""
        number = self._put("draft", raw)
        await until(lambda: number in self._drafts)
        return self._drafts.pop(number)

    @draft.validator
    def _can_be_read(self, raw: RawValue = NOTHING) -> None:
        try:
            contract.Draft.model_validate(read_json(raw))
        except ValidationError:
            raise ApplicationError("the message is not a draft", type="malformed") from None

    @workflow.signal(name=contract.DECIDE)
    async def decide(self, raw: RawValue = NOTHING) -> None:
        """Takes a signed decision, also while no worker is alive."""
        self._put("decision", raw)

    @workflow.signal(name=contract.CONDITION_CHANGED)
    async def condition_changed(self, raw: RawValue = NOTHING) -> None:
        """Makes the workflow look at the source again."""
        self._put("changed", raw)

    @workflow.signal(name=contract.CONDITION_CLEARED)
    async def condition_cleared(self, raw: RawValue = NOTHING) -> None:
        """Makes the workflow look again; where no source can be asked, the starter's word counts."""
        self._put("cleared", raw)

    @workflow.signal(name=contract.PAUSE)
    async def pause(self, raw: RawValue = NOTHING) -> None:
        """Holds this outreach, or lets it go on."""
        self._put("pause", raw)

    @workflow.signal(name=contract.ABORT)
    async def abort(self, raw: RawValue = NOTHING) -> None:
        """Ends the sending of this outreach for good."""
        self._put("abort", raw)

    @workflow.signal(name=contract.ESCALATE)
    async def escalate(self, raw: RawValue = NOTHING) -> None:
        """Says from outside that it needs a person."""
        self._put("escalate", raw)

    @workflow.signal(name=contract.ESCALATION_ACKNOWLEDGED)
    async def escalation_acknowledged(self, raw: RawValue = NOTHING) -> None:
        """Says that somebody is on it."""
        self._put("acknowledged", raw)

    def _put(self, kind: Kind, raw: RawValue) -> int:
        return self._receive(kind, read_json(raw))

    def _receive(self, kind: Kind, content: object) -> int:
        self._count += 1
        self._waiting.append(Message(self._count, kind, content))
        return self._count

    def cancel_means_abort(self) -> None:
        """Takes a request to cancel, as the Temporal UI and CLI offer it, for what it is meant to be."""
        self._receive("abort", {"event_id": "cancel", "note": "cancelled"})

    # -- the attendant

    async def attend(self) -> None:
        """Applies messages in the order they came, for as long as the outreach runs."""
        while True:
            await until(lambda: bool(self._waiting))
            self._busy = True
            message = self._waiting.popleft()
            try:
                if message.kind == "decision":
                    await self._judge(message)
                elif message.kind == "draft":
                    await self._draft(message)
                else:
                    await self._apply(message)
            except FailureError:
                self.state.ask(f"a message ({message.kind}) could not be recorded", workflow.now())
            self._busy = False
            self.news += 1

    @property
    def settled(self) -> bool:
        """Returns whether everything that came in is applied and answered."""
        return not self._waiting and not self._busy and workflow.all_handlers_finished()

    async def settle_messages(self) -> None:
        """Waits until it is."""
        await until(lambda: self.settled)

    async def _draft(self, message: Message) -> None:
        state, draft = self.state, contract.Draft.model_validate(message.raw)
        if draft.event_id in state.seen:
            self._drafts[message.number] = contract.DraftAnswer(accepted=True, message="it was drafted before")
            return
        ended = self.closing or bool(state.aborted)
        request = DraftRequest(outreach=self._id, draft=draft, number=state.drafted + 1, ended=ended)
        try:
            answer = await workflow.execute_local_activity_method(AddendumActivities.keep_draft, request, **QUICK)
        except FailureError:
            answer = contract.DraftAnswer(accepted=False, code="not_recorded", message="it was not kept; try again")
        if answer.accepted and state.first_time(draft.event_id):
            state.drafted += 1
            state.drafts.append(answer.version)
        self._drafts[message.number] = answer

    async def _judge(self, message: Message) -> None:
        raw = None if message.raw is MALFORMED else message.raw
        try:
            answer = await workflow.execute_local_activity_method(
                DecisionActivities.receive_decision, ReceivedDecision(outreach=self._id, raw=raw), **QUICK
            )
        except FailureError:
            answer = DecisionAnswer(accepted=False, code="not_recorded", message="it could not be recorded; try again")
        if answer.accepted:
            self._decided(answer)
        else:
            self.state.refused += 1
            self._catch_up(answer)
        self._answers[message.number] = answer

    def take_in(self, revision: Revision) -> None:
        """Adds a revision, with whatever was decided about it before its plan came back."""
        self.state.revisions.append(revision)
        self.hear_early()

    def hear_early(self) -> None:
        """Applies what was decided before it was known here that it is asked for."""
        early, self.state.early = self.state.early, []
        for answer in early:
            self._decided(answer)

    def _decided(self, answer: DecisionAnswer) -> None:
        if all(revision.plan.revision != answer.revision for revision in self.state.revisions):
            self.state.early.append(answer)  # people can decide as soon as it is frozen
        for revision in self.state.revisions:
            if revision.plan.revision != answer.revision:
                continue
            if answer.kind == "continue":
                self._continued(revision, answer)
                continue
            if answer.status == "pending":
                revision.approvals = answer.approvals  # another person must agree
                continue
            if answer.decision == "approve":
                if revision.status == "approved":  # it stands in for one that no longer holds
                    self.state.attention = ""
                revision.status = "approved"
            elif answer.decision == "reject":
                revision.status = "rejected"
                self.state.reason = answer.message
                if revision.canary is not None and revision.canary.waits:
                    revision.canary.status = "rejected"
            else:
                revision.status = "changes_requested"

    def _catch_up(self, answer: DecisionAnswer) -> None:
        """Hears of a decision that was recorded while its word never came here: the worker that had it was lost."""
        for revision in self.state.revisions:
            if revision.plan.revision == answer.revision and revision.status == "pending":
                revision.status = next((status for status in DECIDED if status == answer.status), revision.status)

    def _continued(self, revision: Revision, answer: DecisionAnswer) -> None:
        canary = revision.canary
        if canary is None:
            self.state.early.append(answer)
            return
        if canary.leaves and answer.decision == "approve":  # it stands in for one that no longer holds
            self.state.attention = ""
        canary.status = "approved" if answer.decision == "approve" else "rejected"
        if not canary.leaves:  # what had begun under one that no longer holds
            begun = [*([revision.sending] if revision.sending else []), *revision.due]
            for sending in (*begun, *(later.sending for later in revision.deferred)):
                if not sending.fallback:
                    sending.end_at(revision.plan.canary)

    async def _apply(self, message: Message) -> None:
        try:
            event = MODELS.get(message.kind, Event).model_validate(message.raw)
        except ValidationError:
            self.state.refused += 1
            return
        if not self.state.first_time(event.event_id):
            return
        state = self.state
        if message.kind == "changed":
            state.look = state.look or "look"
        elif message.kind == "cleared":
            state.look = "cleared"
        elif isinstance(event, Acknowledgement):
            state.escalations.acknowledge(event.by, workflow.now(), done=event.done)
        elif isinstance(event, Escalate):
            # Its words are shown and sent to people: what holds an address is raised without them.
            said = "" if personal_pattern(event.note) else event.note
            text = said or f"Somebody says that it needs a person ({event.kind.replace('_', ' ')})."
            state.escalations.escalate(f"outside:{event.kind}", event.kind, text[:300], workflow.now())
        elif message.kind == "abort":
            state.aborted, state.attention = event.note or "aborted", ""
            await self._hold(paused=True, by=event.by, aborted=True)
        elif isinstance(event, Pause):
            # First the switch that every micro-batch reads, then our own: a page in flight stops at its next one.
            await self._hold(paused=event.paused or bool(state.aborted), by=event.by)
            state.paused = event.paused
            if not event.paused:
                state.attention, state.retry_at = "", None
            elif event.harm:
                state.escalations.escalate("harm", "harm", event.note, workflow.now())

    async def _hold(self, *, paused: bool, by: str, aborted: bool = False) -> None:
        channels = tuple(sorted({r.channel for revision in self.state.revisions for r in revision.plan.pages}))
        request = HoldRequest(outreach=self._id, paused=paused, channels=channels, by=by, aborted=aborted)
        await workflow.execute_local_activity_method(OutreachActivities.hold, request, **QUICK)
