"""The end of an outreach: what it comes to, recorded before the workflow closes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.outreach import CloseRequest, EndRequest, OutreachActivities, StatusRequest
    from tellfirst import contract
    from tellfirst.contract import Ending, Result
    from workflows.front import Front
    from workflows.options import QUICK, over_audience
    from workflows.situation import Situation
    from workflows.state import Revision, Status

LONGEST_WAIT_FOR_CONTACTS = timedelta(hours=6)


class Closing(Front):
    """Measures when the last window has closed, or says why nothing is to be measured."""

    async def measure(self) -> Result | None:
        """Returns the measured result, or None while contacts are still awaited."""
        state, planned = self.state, [r for r in self.state.revisions if not r.plan.unplanned]
        last, end = planned[-1], state.window_end
        await self.settle_messages()
        if end is None or state.to_plan:
            return None
        give_up = end + last.plan.watermark_timeout
        request = CloseRequest(
            outreach=self._id,
            revision=next(r for r in reversed(planned) if r.wave is not None).plan.revision,
            window_end=end,
            last_chance=workflow.now() >= give_up,
            reason=state.aborted,
        )
        self.closing = True
        try:
            closing = await over_audience(OutreachActivities.close, request, state.recipients)
        except FailureError as error:
            self.closing, state.contacts_at = False, workflow.now() + LONGEST_WAIT_FOR_CONTACTS
            await self.needs_attention(f"measuring failed: {cause_of(error)}")
            return None
        self.closing = not closing.waiting
        if closing.waiting:
            pause = min(max(last.plan.window / 20, timedelta(seconds=1)), LONGEST_WAIT_FOR_CONTACTS)
            state.contacts_at = min(workflow.now() + pause, give_up)
            return None
        return await self.closed(
            Ending.MEASURED,
            self.state.aborted,
            accepted=closing.accepted,
            withheld=closing.withheld,
            failed=closing.failed,
            unknown=closing.unknown,
            grade=closing.grade,
        )

    async def ended_without_sending(self) -> Result:
        """Returns why nobody was told."""
        statuses = [r.status for r in self.state.revisions]
        statuses += [r.canary.status for r in self.state.revisions if r.canary is not None]
        if "rejected" in statuses:
            return await self.end(Ending.REJECTED, self.state.reason)
        if "expired" in statuses:
            return await self.end(Ending.EXPIRED, "nobody decided in time; silence is not consent")
        if "cleared" in statuses or self.state.cleared:
            return await self.end(Ending.CLEARED, "the condition ended before anyone was told")
        return await self.end(Ending.NOTHING_TO_DO, "nobody_left_to_tell")

    async def give_up(self, revisions: Sequence[Revision], status: Status) -> None:
        """Records why revisions will never be sent, so that nobody can decide about them any more."""
        if not revisions:
            return
        for revision in revisions:
            revision.status = status
        numbers = tuple(revision.plan.revision for revision in revisions)
        request = StatusRequest(outreach=self._id, revisions=numbers, status=status)
        await workflow.execute_local_activity_method(OutreachActivities.set_status, request, **QUICK)

    async def end(self, ending: Ending, reason: str) -> Result:
        """Records an ending without measurement and closes."""
        request = EndRequest(outreach=self._id, ending=ending, reason=reason)
        await workflow.execute_local_activity_method(OutreachActivities.end, request, **QUICK)
        return await self.closed(ending, reason)

    async def closed(self, ending: Ending, reason: str = "", **counts: Any) -> Result:
        """Returns the result once every message is answered and everybody can see that it is over."""
        await self.come_to_rest(closing=True)
        self.show(Situation(stage=contract.Stage.CLOSED, words=f"Closed: {ending}. {reason}"))
        return Result(ending=ending, reason=reason, recipients=self.state.recipients, **counts)


def cause_of(error: FailureError) -> str:
    """Returns the kind of trouble, without the words of whoever raised it.

    What an activity raises comes wrapped in an ActivityError, but bare where it ran inside the workflow task.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    return (cause.type or "error") if isinstance(cause, ApplicationError) else type(cause).__name__
