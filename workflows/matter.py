"""Matters: one durable workflow per thing to be decided apart from plans, until it is decided or lapses.

They differ only in their names and in what their kinds say (`activities/matter_life.py`); every branch is taken on what
was recorded.
"""

import asyncio
from datetime import datetime
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.escalations import NoticeRequest
    from activities.matter_life import (
        ExpireMatterRequest,
        MatterActivities,
        OpenedMatter,
        OpenMatterRequest,
        ReceivedMatterDecision,
    )
    from tellfirst import contract
    from tellfirst.contract import DecisionAnswer, DecisionEnvelope, Stage
    from tellfirst.domain.plan import Rung
    from workflows.escalations import Escalation, Escalations, stage_of, standing
    from workflows.ladder import Ladder
    from workflows.mailbox import MALFORMED, NOTHING, read_json
    from workflows.options import QUICK
    from workflows.waiting import until

WAITING = "pending"


class Matter:
    """Waits for the signed decisions about one matter: reminds, escalates, and lets it lapse when nobody decides."""

    def __init__(self) -> None:
        self._id = workflow.info().workflow_id
        self._opened = OpenedMatter(status="")
        self._one_at_a_time = asyncio.Lock()
        self._escalations = Escalations()
        self._ladder = Ladder(
            self._id,
            lambda: self._escalations,
            self._rungs,
            lambda _: self._decided,
            self._show,
        )

    async def live(self, given: object) -> str:
        """Returns how it ended: approved, rejected, changes_requested, expired, or refused with the reason."""
        self._opened = await self._open(given)
        ladder = asyncio.create_task(self._ladder.climb())
        if self._opened.status == WAITING:
            self._show()
            await self._wait()
        await until(workflow.all_handlers_finished)
        await self._ladder.rest(closing=True)
        ladder.cancel()
        self._show()
        reason = self._opened.reason
        return f"{self._opened.status}: {reason}" if reason else self._opened.status

    # -- what may come

    @workflow.update(name=contract.SUBMIT_DECISION)
    async def submit_decision(self, raw: RawValue = NOTHING) -> DecisionAnswer:
        """Takes a signed decision and answers once it is judged and recorded."""
        return await self._judge(read_json(raw))

    @submit_decision.validator
    def _can_be_parsed(self, raw: RawValue = NOTHING) -> None:
        try:
            DecisionEnvelope.model_validate(read_json(raw))
        except ValidationError:
            raise ApplicationError("the message is not a signed decision", type="malformed") from None

    @workflow.signal(name=contract.DECIDE)
    async def decide(self, raw: RawValue = NOTHING) -> None:
        """Takes a signed decision, also while no worker is alive."""
        await self._judge(read_json(raw))

    @workflow.signal(name=contract.ESCALATION_ACKNOWLEDGED)
    async def escalation_acknowledged(self, raw: RawValue = NOTHING) -> None:
        """Says that somebody is on it."""
        self._ladder.acknowledge(read_json(raw))

    # -- inside

    async def _open(self, given: object) -> OpenedMatter:
        request = OpenMatterRequest(about=self._id, given=None if given is MALFORMED else given)
        try:
            opened: OpenedMatter = await workflow.execute_local_activity_method(
                MatterActivities.open_matter, request, **QUICK
            )
        except FailureError:
            return OpenedMatter(status="refused", reason="it could not be recorded; propose it again")
        return opened

    async def _wait(self) -> None:
        opened = self._opened
        steps: tuple[tuple[datetime | None, Literal["reminder", "overdue", "expired"]], ...] = (
            (opened.remind_at, "reminder"),
            (opened.escalate_at, "overdue"),
            (opened.decide_by, "expired"),
        )
        for at, kind in steps:
            if at is not None:
                await until(lambda: self._decided, timeout=at - workflow.now(), summary=kind)
            if self._decided:
                return
            # Nobody is asked about what another pause, or another live version, has overtaken: it lapses instead.
            await self._expire(only_overtaken=kind != "expired")
            if not self._decided or kind == "expired":
                await self._tell(kind)

    @property
    def _decided(self) -> bool:
        return self._opened.status != WAITING

    async def _judge(self, raw: object) -> DecisionAnswer:
        await until(lambda: bool(self._opened.status))
        received = ReceivedMatterDecision(about=self._id, raw=None if raw is MALFORMED else raw)
        async with self._one_at_a_time:
            try:
                answer: DecisionAnswer = await workflow.execute_local_activity_method(
                    MatterActivities.receive_matter_decision, received, **QUICK
                )
            except FailureError:
                return DecisionAnswer(
                    accepted=False, code="not_recorded", message="it could not be recorded; try again"
                )
            # One of several replacements that came after it was approved does not open it again.
            if answer.accepted and answer.status and not (self._decided and answer.status == WAITING):
                reason = "" if answer.decision == "approve" else answer.message
                self._opened = self._opened.model_copy(update={"status": answer.status, "reason": reason})
        return answer

    async def _expire(self, *, only_overtaken: bool) -> None:
        async with self._one_at_a_time:
            if self._decided:
                return
            status = await workflow.execute_local_activity_method(
                MatterActivities.expire_matter,
                ExpireMatterRequest(about=self._id, only_overtaken=only_overtaken),
                **QUICK,
            )
            self._opened = self._opened.model_copy(update={"status": status})

    def _rungs(self, _: Escalation) -> tuple[Rung, ...]:
        return self._opened.ladder or (Rung(to=", ".join(self._opened.roles)),)

    async def _tell(self, kind: Literal["reminder", "overdue", "expired"]) -> None:
        opened = self._opened
        text = {
            "reminder": f"Please decide whether {opened.question}.",
            "overdue": f"Whether {opened.question} still waits for a decision.",
            "expired": f"Nobody decided in time whether {opened.question}: {opened.otherwise}.",
        }[kind]
        if kind == "overdue":
            self._escalations.escalate(kind, kind, text, workflow.now())
            return
        request = NoticeRequest(
            id=f"{self._id}:{opened.decide_by}:{kind}",
            outreach=self._id,
            kind=kind,
            to=(opened.owner,) if kind == "expired" else opened.roles,
            text=text,
        )
        await self._ladder.notify(request)

    def _show(self) -> None:
        opened, waiting = self._opened, not self._decided
        open_ = self._escalations.open
        stage = (stage_of(open_) if open_ else Stage.AWAITING_APPROVAL) if waiting else Stage.CLOSED
        roles = " and ".join(opened.roles)
        waiting_on = open_[0].waiting_on(self._rungs(open_[0])) if stage is Stage.ESCALATED else roles
        words = f"Closed: {opened.status}. {opened.reason}"
        if waiting:
            words = (
                f"Waiting for **{roles}** to decide whether {opened.question}, until "
                f"{opened.decide_by:%d %b %Y, %H:%M} UTC. Silence is not consent: {opened.how}."
            ) + (f" {standing(open_, self._rungs)}" if open_ else "")
        workflow.set_current_details(words)
        deadline = contract.DEADLINE
        updates: list[Any] = [
            contract.STAGE.value_set(stage.value),
            contract.WAITING_ON.value_set(waiting_on if waiting else "nobody"),
            deadline.value_set(opened.decide_by) if waiting and opened.decide_by else deadline.value_unset(),
        ]
        if opened.playbook:
            updates.append(contract.TRIGGER.value_set(opened.playbook))
        if opened.owner:
            updates.append(contract.OWNER.value_set(opened.owner))
        workflow.upsert_search_attributes(updates)


@workflow.defn(name=contract.LIBRARY_CHANGE)
class LibraryChangeWorkflow(Matter):
    """Waits until it is decided whether a version of a playbook goes live."""

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> str:
        """Returns how it ended."""
        return await self.live(read_json(start))


@workflow.defn(name=contract.PERMIT)
class PermitWorkflow(Matter):
    """Waits until it is decided whether outreaches of a playbook are permitted in advance."""

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> str:
        """Returns how it ended."""
        return await self.live(read_json(start))


@workflow.defn(name=contract.RESUME)
class ResumeWorkflow(Matter):
    """Waits until two people have signed that what was paused as a whole goes on."""

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> str:
        """Returns how it ended."""
        return await self.live(read_json(start))
