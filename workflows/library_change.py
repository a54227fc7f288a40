"""The library change: one durable workflow per proposed version of a playbook, until it is decided or lapses."""

import asyncio
import contextlib
from datetime import datetime
from typing import Any, Literal

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.library import (
        ExpireRequest,
        LibraryActivities,
        ProposeAnswer,
        ProposeRequest,
        ReceivedLibraryDecision,
    )
    from activities.outreach import NoticeRequest, OutreachActivities
    from tellfirst import contract
    from tellfirst.contract import DecisionAnswer, DecisionEnvelope, LibraryProposal, Stage
    from workflows.mailbox import MALFORMED, NOTHING, read_json, until
    from workflows.options import QUICK

WAITING = "pending"


@workflow.defn(name=contract.LIBRARY_CHANGE)
class LibraryChangeWorkflow:
    """Waits for the signed decision about one version: reminds, escalates, and lets it lapse when nobody decides."""

    def __init__(self) -> None:
        self._id = workflow.info().workflow_id
        self._change = ProposeAnswer(status="")
        self._one_at_a_time = asyncio.Lock()

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> str:
        """Returns how it ended: approved, rejected, changes_requested, expired, or refused with the reason."""
        self._change = await self._propose(read_json(start))
        if self._change.status == WAITING:
            self._show(Stage.AWAITING_APPROVAL)
            await self._wait()
        await until(workflow.all_handlers_finished)
        self._show(Stage.CLOSED)
        reason = self._change.reason
        return f"{self._change.status}: {reason}" if reason else self._change.status

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

    # -- inside

    async def _propose(self, given: object) -> ProposeAnswer:
        try:
            proposal = LibraryProposal.model_validate(given)
        except ValidationError:
            return ProposeAnswer(status="refused", reason="the proposal is malformed")
        request = ProposeRequest(about=self._id, text=proposal.text, proposer=proposal.proposer)
        try:
            answer: ProposeAnswer = await workflow.execute_local_activity_method(
                LibraryActivities.propose, request, **QUICK
            )
        except FailureError:
            return ProposeAnswer(status="refused", reason="it could not be recorded; propose it again")
        return answer

    async def _wait(self) -> None:
        change = self._change
        steps: tuple[tuple[datetime | None, Literal["reminder", "overdue", "expired"]], ...] = (
            (change.remind_at, "reminder"),
            (change.escalate_at, "overdue"),
            (change.decide_by, "expired"),
        )
        for at, kind in steps:
            if at is not None:
                await until(lambda: self._decided, timeout=at - workflow.now(), summary=kind)
            if self._decided:
                return
            if kind == "expired":
                await self._expire()
            elif kind == "overdue":
                self._show(Stage.APPROVAL_OVERDUE)
            if not self._decided or kind == "expired":
                await self._notify(kind)

    @property
    def _decided(self) -> bool:
        return self._change.status != WAITING

    async def _judge(self, raw: object) -> DecisionAnswer:
        await until(lambda: bool(self._change.status))
        received = ReceivedLibraryDecision(about=self._id, raw=None if raw is MALFORMED else raw)
        async with self._one_at_a_time:
            try:
                answer: DecisionAnswer = await workflow.execute_local_activity_method(
                    LibraryActivities.receive_library_decision, received, **QUICK
                )
            except FailureError:
                return DecisionAnswer(
                    accepted=False, code="not_recorded", message="it could not be recorded; try again"
                )
            if answer.accepted and answer.status:
                reason = "" if answer.decision == "approve" else answer.message
                self._change = self._change.model_copy(update={"status": answer.status, "reason": reason})
        return answer

    async def _expire(self) -> None:
        async with self._one_at_a_time:
            if self._decided:
                return
            status = await workflow.execute_local_activity_method(
                LibraryActivities.expire_library_change, ExpireRequest(about=self._id), **QUICK
            )
            self._change = self._change.model_copy(update={"status": status})

    async def _notify(self, kind: Literal["reminder", "overdue", "expired"]) -> None:
        text = {
            "reminder": "Please decide whether this version of the playbook may go live.",
            "overdue": "Whether this version of the playbook may go live still waits for a decision.",
            "expired": "Nobody decided in time about this version of the playbook: it stays as it is, not live.",
        }[kind]
        request = NoticeRequest(
            id=f"{self._id}:{self._change.decide_by}:{kind}",
            outreach=self._id,
            kind=kind,
            to=self._change.owner if kind == "expired" else ", ".join(self._change.roles),
            text=text,
        )
        with contextlib.suppress(FailureError):
            await workflow.execute_local_activity_method(OutreachActivities.notify, request, **QUICK)

    def _show(self, stage: Stage) -> None:
        waiting = stage is not Stage.CLOSED
        roles = " and ".join(self._change.roles)
        words = f"Closed: {self._change.status}. {self._change.reason}"
        if waiting:
            words = (
                f"Waiting for **{roles}** to let this version go live, until "
                f"{self._change.decide_by:%d %b %Y, %H:%M} UTC. Silence is not consent: run `tellfirst playbooks diff` "
                "and then `tellfirst playbooks approve` or `tellfirst playbooks reject`."
            )
        workflow.set_current_details(words)
        deadline = contract.DEADLINE
        updates: list[Any] = [
            contract.STAGE.value_set(stage.value),
            contract.WAITING_ON.value_set(roles if waiting else "nobody"),
            deadline.value_set(self._change.decide_by)
            if waiting and self._change.decide_by
            else deadline.value_unset(),
        ]
        if self._change.playbook:
            updates.append(contract.TRIGGER.value_set(self._change.playbook))
            updates.append(contract.OWNER.value_set(self._change.owner))
        workflow.upsert_search_attributes(updates)
