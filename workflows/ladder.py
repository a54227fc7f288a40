"""The ladder: climbs with whatever needs a person, beside the life of its workflow, and tells each level once."""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.escalations import EscalationActivities, EscalationRequest, NoticeRequest
    from tellfirst import contract
    from tellfirst.domain.plan import Rung
    from workflows.escalations import Escalation, Escalations
    from workflows.options import NOTIFY, QUICK
    from workflows.waiting import until


class Ladder:
    """Tells the levels of the escalations of one workflow at their times, and keeps how each stands.

    `escalations` is read anew each time; `rungs` says who is told of one, `over` whether its cause has ended, and
    `changed` is called when something was told or kept.
    """

    def __init__(
        self,
        about: str,
        escalations: Callable[[], Escalations],
        rungs: Callable[[Escalation], Sequence[Rung]],
        over: Callable[[Escalation], bool],
        changed: Callable[[], None],
    ) -> None:
        self._about, self._escalations, self._rungs = about, escalations, rungs
        self._over, self._changed = over, changed
        self._busy = self._closing = False

    async def climb(self) -> None:
        """Does so for as long as the workflow runs; while nothing needs a person it costs nothing."""
        while True:
            if not self._wanted():
                due = self.next_at()
                alarm = {} if due is None else {"timeout": max(due - workflow.now(), timedelta(0))}
                await until(self._wanted, **alarm, summary="escalate")
            self._busy = True
            await self._go()
            self._busy = False

    async def rest(self, *, closing: bool = False) -> None:
        """Waits until everything is told and kept; with `closing` nothing needs a person any more."""
        self._closing = closing
        await until(lambda: not self._busy and not self._wanted())

    def next_at(self) -> datetime | None:
        """Returns when the next level of any escalation is told."""
        due = (one.next_at(self._rungs(one)) for one in self._escalations().all)
        return min((at for at in due if at is not None), default=None)

    def acknowledge(self, raw: object) -> None:
        """Takes the word of somebody who is on it; what cannot be read changes nothing."""
        with contextlib.suppress(ValidationError):
            said = contract.Acknowledgement.model_validate(raw)
            self._escalations().acknowledge(said.by, workflow.now(), done=said.done)

    async def notify(self, notice: NoticeRequest) -> None:
        """Tells people something once; no workflow stops because a notice could not be kept or delivered."""
        await notify(notice)

    def _ended(self, one: Escalation) -> bool:
        return self._closing or self._over(one)

    def _wanted(self) -> bool:
        now = workflow.now()
        return any(
            not one.kept
            or (not one.ended_at and self._ended(one))
            or ((at := one.next_at(self._rungs(one))) is not None and at <= now)
            for one in self._escalations().all
        )

    async def _go(self) -> None:
        now, escalations = workflow.now(), self._escalations()
        escalations.settle(self._ended, now)
        for one in list(escalations.all):
            rungs, notice = self._rungs(one), None
            if (at := one.next_at(rungs)) is not None and at <= now:
                one.level, one.kept = one.level + 1, False
                notice = self._notice(one, rungs)
            if not one.kept:
                one.kept = True
                await self._keep(one, rungs, notice)
        escalations.settle(self._ended, workflow.now())
        self._changed()

    async def _keep(self, one: Escalation, rungs: Sequence[Rung], notice: NoticeRequest | None) -> None:
        request = EscalationRequest(
            id=self._name(one),
            about=self._about,
            kind=one.kind,
            text=one.text,
            level=one.level,
            levels=len(rungs),
            waiting_on=one.waiting_on(rungs),
            opened_at=one.opened_at,
            acknowledged_by=one.acknowledged_by,
            acknowledged_at=one.acknowledged_at,
            ended_at=one.ended_at,
            notice=notice,
        )
        with contextlib.suppress(FailureError):
            kept = await workflow.execute_local_activity_method(EscalationActivities.keep_escalation, request, **QUICK)
            if notice is not None and kept.deliver:
                await _deliver(notice.id)

    def _notice(self, one: Escalation, rungs: Sequence[Rung]) -> NoticeRequest:
        return NoticeRequest(
            id=f"{self._name(one)}:{one.level}",
            outreach=self._about,
            kind=one.kind,
            to=(rungs[one.level - 1].to,),
            text=one.text,
            level=one.level,
            deadline=one.next_at(rungs),
        )

    def _name(self, one: Escalation) -> str:
        return f"{self._about}:{one.cause}:{one.opened_at:%Y%m%dT%H%M%S.%fZ}"


async def notify(notice: NoticeRequest) -> None:
    """Tells people something once; no workflow stops because a notice could not be kept or delivered."""
    with contextlib.suppress(FailureError):
        kept = await workflow.execute_local_activity_method(EscalationActivities.notify, notice, **QUICK)
        if kept.deliver:
            await _deliver(notice.id)


async def _deliver(notice: str) -> None:
    # A workflow of its own: what it waits for holds up nothing here, and it outlives whoever started it.
    await workflow.start_child_workflow(
        contract.NOTICE,
        notice,
        id=f"notice/{notice}",
        task_queue=contract.QUEUE,
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )


@workflow.defn(name=contract.NOTICE)
class NoticeWorkflow:
    """Delivers one notice that was kept, again and again until it is delivered or a day has passed."""

    @workflow.run
    async def run(self, notice: str) -> str:
        """Returns `delivered` or `undelivered`."""
        try:
            await workflow.execute_activity_method(EscalationActivities.deliver_notice, notice, **NOTIFY)
        except FailureError:
            return "undelivered"
        return "delivered"
