"""The exception: one durable workflow per request, from the claim of its budget to the answer the customer gets.

What comes from outside fills the inbox; the attendant judges it beside the loop. Silence is never approval, and a grant
that no longer holds when it is to be carried out waits for another one.
"""

import asyncio
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.escalations import NoticeRequest
    from activities.exception_answers import Answered, ExceptionAnswerActivities
    from activities.exception_claims import ExceptionClaim, ExceptionClaimed, ExceptionClaims
    from activities.exceptions import ExceptionActivities, ExceptionSettlement, Executed
    from tellfirst import contract
    from tellfirst.contract import ExceptionAsked, ExceptionEnding, ExceptionResult, ExceptionView, Stage
    from tellfirst.domain.condition import personal_pattern
    from tellfirst.domain.plan import Rung
    from workflows.escalations import Escalation, Escalations, stage_of, standing
    from workflows.exception_inbox import PENDING, GrantInbox
    from workflows.ladder import Ladder
    from workflows.mailbox import NOTHING, read_json
    from workflows.options import CARRY_OUT, QUICK
    from workflows.waiting import until

T = TypeVar("T")

PATIENCE = timedelta(hours=1)
"""How long carrying out or answering may take before people are told."""
OPAQUE = {"request", "outreach", "customer", "requester", "ticket"}


@workflow.defn(name=contract.EXCEPTION)
class ExceptionWorkflow(GrantInbox):
    """Carries one request through claim, grant, execution and answer."""

    def __init__(self) -> None:
        super().__init__()
        self._claim = ExceptionClaimed()
        self._problem = ""  # why a grant could not be carried out
        self._stalled = self._withdrawn = self._reminded = self._escalated = False
        self._escalations = Escalations()
        self._ladder = Ladder(self._id, lambda: self._escalations, self._rungs, self._over, self._show)
        self._notices = 0

    # -- what may come

    @workflow.signal(name=contract.ESCALATION_ACKNOWLEDGED)
    async def escalation_acknowledged(self, raw: RawValue = NOTHING) -> None:
        """Says that somebody is on it."""
        self._ladder.acknowledge(read_json(raw))

    @workflow.query(name=contract.VIEW)
    def view(self) -> ExceptionView:
        """Returns how the request stands."""
        stage, words, waiting_on, deadline = self._situation()
        return ExceptionView(
            request=self._request,
            stage=stage,
            status=self._status,
            waiting_on=waiting_on,
            deadline=deadline,
            details=words,
            needed=self._claim.needed,
            refused_messages=self._refused,
        )

    # -- the life

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> ExceptionResult:
        """Runs to the recorded ending; a request to cancel withdraws what nobody has granted yet."""
        life = asyncio.create_task(self._live(read_json(start)))
        while True:
            try:
                return await asyncio.shield(life)
            except asyncio.CancelledError:
                if life.done():
                    raise
                self._withdrawn = True

    async def _live(self, data: object) -> ExceptionResult:
        beside = [asyncio.create_task(self.attend()), asyncio.create_task(self._ladder.climb())]
        try:
            try:
                asked = ExceptionAsked.model_validate(data)
            except ValidationError as error:
                where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "its top level"
                return await self._closed(ExceptionEnding.REFUSED, "malformed", f"the request is malformed at {where}")
            if self._id != contract.exception_id(asked.request):
                reason = "the workflow id is not exception/{request}"
                return await self._closed(ExceptionEnding.REFUSED, "wrong_id", reason)
            if any(personal_pattern(text) for text in asked.model_dump(include=OPAQUE).values()):
                reason = "an id looks like an address; use opaque ids"
                return await self._closed(ExceptionEnding.REFUSED, "personal", reason)
            return await self._go(asked)
        finally:
            for task in beside:
                task.cancel()

    async def _go(self, asked: ExceptionAsked) -> ExceptionResult:
        claim = ExceptionClaim(asked=asked, run=workflow.info().first_execution_run_id)
        self._claim = await workflow.execute_local_activity_method(ExceptionClaims.claim_exception, claim, **QUICK)
        if self._claim.code:
            return await self._closed(ExceptionEnding.REFUSED, self._claim.code, self._claim.reason)
        self._status = PENDING
        while True:
            await self._until_decided()
            if self._status != "approved" and (unmet := await self._unmet()):
                return unmet
            self._executing = True
            self._show()
            work = workflow.start_activity_method(
                ExceptionActivities.execute_exception, asked.request, **CARRY_OUT, summary="carry out"
            )
            done: Executed = await self._patiently(work, "carried out")
            self._executing = False
            if not done.code:
                return await self._answer()
            self._problem, self._status = done.code, PENDING
            text = f"The grant of {self._id} does not hold ({done.code}); grant it anew."
            self._escalations.escalate("attention", "attention", text, workflow.now())

    async def _until_decided(self) -> None:
        """Waits for the grant; reminds, escalates and gives up at their times."""
        decide_by = self._claim.decide_by
        assert decide_by is not None  # noqa: S101 - what is claimed has its deadlines
        while self._status == PENDING and not self._withdrawn:
            now = workflow.now()
            if now >= decide_by:
                # A decision that arrived in time is judged before its deadline is.
                await self.settle_messages()
                self._status = "expired" if self._status == PENDING else self._status
                return
            if now >= (self._claim.escalate_at or decide_by) and not self._escalated:
                self._escalated = self._reminded = True
                text = f"{self._id} still waits for a decision."
                self._escalations.escalate("overdue", "overdue", text, now)
            elif now >= (self._claim.remind_at or decide_by) and not self._reminded:
                self._reminded = True
                await self._notify("reminder", f"Please decide {self._id}.")
            self._show()
            received = self._received
            due, what = self._next(decide_by)
            await until(
                lambda: self._status != PENDING or self._withdrawn or self._received != received,  # noqa: B023
                timeout=max(due - workflow.now(), timedelta(0)),
                summary=what,
            )
            await until(lambda: not self._waiting and not self._busy)
        if self._status == PENDING:
            self._status = "withdrawn"

    def _next(self, decide_by: datetime) -> tuple[datetime, str]:
        if not self._reminded and self._claim.remind_at is not None:
            return self._claim.remind_at, "remind"
        if not self._escalated and self._claim.escalate_at is not None:
            return self._claim.escalate_at, "escalate"
        return decide_by, "expire"

    async def _unmet(self) -> ExceptionResult | None:
        """Releases what was reserved; what a grant had taken stays taken, for it may have been carried out.

        Returns None where it turns out to be granted: whoever was to hear of it had died.
        """
        ending = ExceptionEnding.STOPPED if self._problem else ExceptionEnding(self._status)
        code = self._problem or ""
        settlement = ExceptionSettlement(request=self._request, status=ending.value, code=code)
        stands = await workflow.execute_local_activity_method(ExceptionActivities.settle_exception, settlement, **QUICK)
        if stands == "granted":
            self._status = "approved"
            return None
        if ending in (ExceptionEnding.EXPIRED, ExceptionEnding.STOPPED):
            await self._notify("expired", f"{self._id} ended as {ending.value}; nothing more is done about it.")
        return await self._closed(ending, code)

    async def _answer(self) -> ExceptionResult:
        answered = Answered(state="none", reason="no_channel")
        if self._claim.channel:
            work = workflow.start_activity_method(
                ExceptionAnswerActivities.answer_exception,
                self._request,
                task_queue=contract.send_queue(self._claim.channel),
                **CARRY_OUT,
                summary="answer",
            )
            answered = await self._patiently(work, "answered")
        if answered.state in ("unknown", "failed", "withheld"):
            text = f"The customer's answer to {self._id} is {answered.state} ({answered.reason})."
            await self._notify("attention", text)
        return await self._closed(ExceptionEnding.EXECUTED, answer=answered.state)

    async def _patiently(self, work: workflow.ActivityHandle[T], what: str) -> T:
        """Returns what comes of work that is tried until it succeeds; when that takes long, people are told."""
        await until(work.done, timeout=PATIENCE, summary=f"not {what}")
        if not work.done():
            self._stalled = True
            self._escalations.escalate("stalled", "attention", f"{self._id} is not {what} yet.", workflow.now())
            self._show()
        try:
            return await work
        finally:
            self._stalled = False

    async def _closed(
        self, ending: ExceptionEnding, code: str = "", reason: str = "", answer: str = ""
    ) -> ExceptionResult:
        await self.settle_messages()
        await self._ladder.rest(closing=True)
        self._status = ending.value
        self._show()
        return ExceptionResult(ending=ending, code=code, reason=reason, ask=self._claim.ask, answer=answer)

    # -- what people see

    async def _notify(self, kind: str, text: str) -> None:
        self._notices += 1
        to = self._claim.roles if kind == "reminder" else (self._claim.accountable or self._claim.owner,)
        request = NoticeRequest(
            id=f"{self._id}:{kind}:{self._notices}",
            outreach=self._id,
            kind=kind,
            to=to,
            text=text,
        )
        await self._ladder.notify(request)

    def _rungs(self, _: Escalation) -> tuple[Rung, ...]:
        return self._claim.ladder

    def _over(self, one: Escalation) -> bool:
        return not self._stalled if one.cause == "stalled" else self._status != PENDING

    def _situation(self) -> tuple[Stage, str, str, datetime | None]:
        if self._status == PENDING:
            stage, people = Stage.AWAITING_APPROVAL, " or ".join(self._claim.roles)
            count = "two people" if self._claim.needed > 1 else "one person"
            words = f"Waits for {count} with the role {people}: `tellfirst exceptions approve {self._request}`."
            if self._problem:
                words += f" The last grant does not hold ({self._problem})."
        elif self._executing or self._status == "approved":
            stage, people = Stage.SENDING, ""
            words = "Granted; it is carried out and answered, and tried again until that is acknowledged."
        elif self._status in ("claiming", "unclaimed"):
            return Stage.PLANNING, "Claims its budget.", "", None
        else:
            return Stage.CLOSED, f"Closed: {self._status}.", "", None
        deadline = self._claim.decide_by if self._status == PENDING else None
        if not (open_ := self._escalations.open):
            return stage, words, people, deadline
        stage, first = stage_of(open_), open_[0]
        waiting_on = first.waiting_on(self._rungs(first)) if stage is Stage.ESCALATED else people
        return stage, f"{words} {standing(open_, self._rungs)}", waiting_on, deadline

    def _show(self) -> None:
        stage, words, waiting_on, deadline = self._situation()
        workflow.set_current_details(words)
        known = {
            contract.TRIGGER: self._claim.playbook,
            contract.REASON: self._claim.reason_code,
            contract.OWNER: self._claim.owner,
        }
        workflow.upsert_search_attributes(
            [
                contract.STAGE.value_set(stage.value),
                contract.WAITING_ON.value_set(waiting_on or "nobody"),
                contract.DEADLINE.value_unset() if deadline is None else contract.DEADLINE.value_set(deadline),
                *(key.value_set(value) for key, value in known.items() if value),
            ]
        )
