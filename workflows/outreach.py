"""The outreach: one durable workflow per condition, from detection to the recorded outcome.

`run` is one loop over the next absolute deadline. What comes from outside only fills the inbox; the attendant works it
off beside the loop, so that a decision is answered while pages are leaving. Every branch is taken on recorded values.
"""

import asyncio

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.outreach import (
        Look,
        LookRequest,
        OutreachActivities,
        WaveRequest,
    )
    from activities.planning import PlanAnswer, PlanningActivities, PlanRequest
    from tellfirst import contract
    from tellfirst.contract import Ending, EscalationKind, Result
    from tellfirst.domain.condition import Condition, personal_pattern
    from tellfirst.domain.plan import CORRECTION, PlannedStep
    from tellfirst.domain.recipient import Wave
    from workflows.anew import go_on, pages
    from workflows.approval import Approving
    from workflows.closing import cause_of
    from workflows.fallback import fall_back, watch
    from workflows.mailbox import NOTHING, read_json
    from workflows.options import DATABASE, SMALL, at_once, over_audience
    from workflows.sending import Sender
    from workflows.situation import people
    from workflows.state import (
        RETRY,
        Revision,
        Sending,
        State,
        falls_due,
        hindrance,
        next_deadline,
        overdue,
        owing,
        wave_at,
    )
    from workflows.waiting import AlarmClock, until


@workflow.defn(name=contract.OUTREACH)
class OutreachWorkflow(Approving):
    """Carries one condition through plan, approval, waves, promises and window."""

    def __init__(self) -> None:
        super().__init__()
        self._sender, self._alarm = Sender(self._id), AlarmClock()
        self._condition: Condition | None = None
        self.state = State(trigger="")

    def _read(self, data: object) -> str:
        """Takes what this run starts with; returns why a condition is refused."""
        if workflow.info().continued_run_id:
            self.state = State.model_validate(data)
            return ""
        if personal_pattern(self._id):
            return "the workflow id looks like an address; use outreach/{trigger}/{key}/{episode}"
        try:
            condition = Condition.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "its top level"
            return f"the condition is malformed at {where}: {first['msg']}"[:300]
        if personal_pattern(condition.key):
            return "the condition key looks like an address; use an opaque key"
        self._condition, self.state.trigger = condition, condition.trigger
        return ""

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Result:
        """Runs to the recorded outcome."""
        life = asyncio.create_task(self._live(self._read(read_json(start))))
        while True:
            try:
                return await asyncio.shield(life)
            except asyncio.CancelledError:
                if life.done():
                    raise
                self.cancel_means_abort()

    # -- the loop

    async def _live(self, refusal: str) -> Result:
        beside = [asyncio.create_task(self.attend()), asyncio.create_task(self.ladder.climb())]
        try:
            if refusal:
                return await self.closed(Ending.REFUSED, refusal)
            while True:
                try:
                    result = await self._turn()
                except FailureError as error:
                    result = None
                    step = error.activity_type if isinstance(error, ActivityError) else "a step"
                    await self.needs_attention(f"{step} failed: {cause_of(error)}")
                    await self._breathe()
                if result is not None:
                    return result
                if self._sender.wants_new_run:
                    await self.come_to_rest()
                    workflow.continue_as_new(self.state)
        finally:
            for task in beside:
                task.cancel()

    async def _breathe(self) -> None:
        """Waits for news, or a while: attention does not hold everything, and what fails at once fills the history."""
        self.show()
        news = self.news
        await until(lambda: self.news != news, timeout=RETRY, summary="after a failure")

    async def _turn(self) -> Result | None:
        """Does the one thing that is due, or waits for the next deadline or for news."""
        state, news = self.state, self.news
        if not state.planned:
            return await self._plan()
        if state.aborted:
            await self._let_go()
        self.show()
        if state.aborted and not state.randomised:
            return await self.end(Ending.ABORTED, state.aborted)
        for revision in state.revisions:
            if revision.status == "rejected" and (revision.on_its_way or revision.deferred):
                await self._drop(revision)
        if state.look and not state.attention:
            return await self._look()
        if state.to_plan and not state.attention:
            return await self._plan()
        if what := overdue(state, workflow.now()):
            return await self._due(what)
        for revision in state.revisions:
            if revision.status == "approved" and not self._held and await self._send_due(revision):
                return None
        if not owing(state) and not state.randomised and not state.attention:
            return await self.ended_without_sending()
        self._alarm.set(next_deadline(state))
        await until(lambda: self.news != news or self._alarm.rang)
        return None

    @property
    def _held(self) -> bool:
        state = self.state
        waits = state.retry_at is not None and state.retry_at > workflow.now()
        return state.paused or bool(state.attention) or bool(state.aborted) or waits

    async def _due(self, what: str) -> Result | None:
        now = workflow.now()
        if what == "retry":
            self.state.retry_at = None
            return None
        if what == "window":
            return await self.measure()
        if what == "deferred":
            for revision in self.state.revisions:
                revision.resume_deferred(now)
            return None
        if what == "wave":
            for revision in self.state.revisions:
                if (at := wave_at(self.state, revision)) is not None and at <= now:
                    await self._wave(revision)
            return None
        if what == "fallback":
            for revision in self.state.revisions:
                await fall_back(self._id, revision, now, self._escalate)
            return None
        if what == "promise":
            for revision in self.state.revisions:
                update = falls_due(self.state, revision)
                if update is not None and update.act_at is not None and update.act_at <= now:
                    await self._keep_promise(revision, update)
            return None
        # A decision that arrived in time is judged before its deadline is.
        await self.settle_messages()
        for revision in self.state.revisions:
            await self.approval_deadlines(revision)
            await self.rest_deadlines(revision)
        return None

    # -- plan

    async def _plan(self) -> Result | None:
        state, number = self.state, self.state.planned + 1
        replaced = next((r for r in state.revisions if r.sent_back), None)
        grow, state.grow = state.grow, False
        draft = state.drafts.pop(0) if state.drafts and not grow and replaced is None else ""
        request = PlanRequest(
            outreach=self._id,
            run=workflow.info().first_execution_run_id,
            revision=number,
            condition=self._condition if number == 1 else None,
            replaces=replaced.plan.revision if replaced else 0,
            addendum=draft,
        )
        try:
            answer: PlanAnswer = await workflow.execute_activity_method(
                PlanningActivities.plan, request, **DATABASE, summary=f"revision {number}" if number > 1 else None
            )
        except FailureError as error:
            if number > 1:
                state.grow |= grow
                state.drafts[:0] = [draft] if draft else []
                raise
            if state.aborted:
                return await self.end(Ending.ABORTED, state.aborted)
            return await self.end(Ending.FAILED, cause_of(error))
        state.planned, self._condition = number, None
        state.grow |= answer.more
        if replaced is not None:
            replaced.status = "replaced"
        if answer.status == "duplicate":
            return await self.closed(Ending.DUPLICATE, answer.reason)
        if answer.status == "refused":
            return await self.closed(Ending.REFUSED, answer.reason)
        if answer.plan is None and draft:
            text = "What was drafted reaches nobody: all who received that step are gone, opted out or have moved."
            await self.notify("expired", state.revisions[-1].plan, text)
        if answer.plan is None:
            return None if state.revisions else await self.end(Ending.NOTHING_TO_DO, answer.reason)
        revision = Revision(plan=answer.plan, status="approved" if answer.permit else "pending")
        if answer.on_record is not None:
            go_on(state, revision, answer.on_record, workflow.now())
        self.take_in(revision)
        return None

    # -- send

    async def _send_due(self, revision: Revision) -> bool:
        """Does what an approved revision has to send now; returns whether there was anything."""
        if revision.wave is None:
            await self._wave(revision)
            return True
        if self._owes_resolved(revision):
            revision.resolved_sent = True
            if (resolved := revision.plan.resolved) is not None:
                revision.send(resolved)
        if revision.sending is None and revision.due:
            revision.sending = revision.due.pop(0)
        if revision.sending is None:
            return await self._rest_due(revision)
        await self._send(revision, revision.sending)
        return True

    async def _rest_due(self, revision: Revision) -> bool:
        """Does what is due behind the first few of a revision; returns whether there was anything."""
        canary = revision.canary
        waits = revision.next_wave is not None or bool(revision.deferred)
        if not revision.rest_is_open or self.state.cleared or waits:
            return False
        if canary is None:
            await self.open_rest(revision)
        elif canary.leaves:
            await self._wave(revision)
            canary.drawn = True
        else:
            return False
        return True

    async def _wave(self, revision: Revision) -> None:
        """Randomises those of a revision who may be told now, and sends the treated ones their first message."""
        t0, before, number = workflow.now(), revision.drawn, revision.plan.revision
        request = WaveRequest(outreach=self._id, revision=number, t0=t0, end=revision.reach)
        wave: Wave = await over_audience(OutreachActivities.randomise, request, revision.plan.recipients)
        revision.wave = wave.model_copy(update={"drawn": ()})
        if revision.drawn > before and not revision.plan.unplanned:
            revision.t0 = t0
        # The first few may have lost messages, which waited for a word about those behind them.
        if wave.drawn or revision.rest_leaves:
            spans = pages(revision) if revision.anew else list(wave.drawn)
            revision.due.append(Sending(step=revision.plan.initial.id, spans=spans))

    async def _send(self, revision: Revision, sending: Sending) -> None:
        def stop() -> bool:
            return self._held or bool(self.state.look) or self._alarm.rang or bool(overdue(self.state, workflow.now()))

        self._alarm.set(next_deadline(self.state))
        halted = await self._sender.send(revision, sending, stop)
        if halted in ("pause_all", "paused"):
            self.state.retry_at = workflow.now() + RETRY
        elif halted:
            await self.needs_attention(f"sending '{sending.step}' stopped ({halted})")
        elif revision.sending is None:
            self._ask_about_unknown(revision, sending.step)
            await self._tell_of_broken(revision, sending)
            watch(revision, sending, workflow.now())

    async def _tell_of_broken(self, revision: Revision, sending: Sending) -> None:
        if sending.broken:
            told = people(sending.broken)
            text = f"What was promised in step '{sending.step}' could not reach {told} in time; it is late for them."
            await self.notify("expired", revision.plan, text)

    def _ask_about_unknown(self, revision: Revision, step: str) -> None:
        count, self._sender.unknown = self._sender.unknown, 0
        if count:
            are = "message is" if count == 1 else "messages are"
            text = f"Of step '{step}' {count:,} {are} unknown to us and to the provider; decide about each."
            self._escalate("unknown_sends", revision, step, text)

    async def _let_go(self) -> None:
        """Lets go of whatever has not left."""
        self.state.look, self.state.grow, self.state.drafts = "", False, []
        await self.give_up([r for r in self.state.revisions if r.open], "aborted")
        for revision in self.state.revisions:
            if revision.rest_is_open:
                await self.give_rest_up(revision, "aborted")
            await self._drop(revision)

    async def _drop(self, revision: Revision) -> None:
        """Leaves unsent what was due; what may have left is still asked about."""
        revision.due, revision.deferred, revision.lookouts = [], [], []
        if (sending := revision.sending) is not None:
            await self._sender.reconcile(revision, sending)
            revision.sending = None
            self._ask_about_unknown(revision, sending.step)

    # -- promises

    async def _look(self) -> Result | None:
        state = self.state
        wanted, state.look = state.look, ""
        try:
            request = LookRequest(outreach=self._id, cleared=wanted == "cleared")
            if state.recipients <= SMALL and not any(revision.plan.watched for revision in state.revisions):
                look: Look = await at_once(OutreachActivities.look, request)
            else:
                look = await workflow.execute_activity_method(OutreachActivities.look, request, **DATABASE)
        except FailureError as error:
            state.look = wanted if wanted == "cleared" else state.look or wanted
            await self.needs_attention(f"the source cannot be read: {cause_of(error)}")
            return None
        for revision in state.revisions:
            revision.over = look.over
        state.grow |= look.new > 0
        state.cleared = look.still == 0 and not look.new
        if state.cleared:
            for revision in state.revisions:
                revision.look_again(workflow.now())
            # Who was told wrongly is told so, although it is over.
            over = [r for r in state.revisions if r.open and r.plan.initial.kind != CORRECTION]
            await self.give_up(over, "cleared")
            for revision in state.revisions:
                await self.give_rest_up(revision, "cleared")
            if not state.randomised:
                return await self.end(Ending.CLEARED, "the condition ended before anyone was told")
        return None

    async def _keep_promise(self, revision: Revision, update: PlannedStep) -> None:
        """Looks again at lead time; tells those whose condition is over so, and updates the others."""
        if not hindrance(self.state, revision):
            self.state.look = self.state.look or "look"
            await self._look()
        if why := hindrance(self.state, revision):
            revision.at_risk = update.id
            text = f"The update promised in step '{update.id}' is at risk: {why}."
            self._escalate("promise_at_risk", revision, update.id, text)
            return
        if self.state.cleared:
            return  # `resolved` keeps the promise
        revision.updates_done += 1
        if revision.over and revision.plan.resolved is not None:
            revision.send(revision.plan.resolved)
        revision.send(update)

    def _escalate(self, kind: EscalationKind, revision: Revision, step: str, text: str) -> None:
        number = revision.plan.revision
        self.state.escalations.escalate(f"{kind}:{number}:{step}", kind, text, workflow.now(), revision=number)

    def _owes_resolved(self, revision: Revision) -> bool:
        told = revision.wave is not None and revision.wave.treated > 0
        return self.state.cleared and told and not revision.resolved_sent
