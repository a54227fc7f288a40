"""Waiting for people: for the decision about a revision, and after the first few for one about the rest."""

from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.canary import CanaryActivities, CloseRestRequest, RestRequest
    from workflows.closing import Closing
    from workflows.options import QUICK
    from workflows.situation import people
    from workflows.state import Canary, Revision


class Approving(Closing):
    """Reminds of what is to be decided, escalates it, and ends the wait: silence is no consent."""

    async def approval_deadlines(self, revision: Revision) -> None:
        """Reminds of the decision about a revision, escalates it, and gives the revision up in the end."""
        plan, now = revision.plan, workflow.now()
        if revision.status != "pending":
            return
        if now >= plan.decide_by:
            await self.give_up([revision], "expired")
            text = f"The approval of revision {plan.revision} expired; nobody was told."
            await self.notify("expired", plan, text)
        elif now >= plan.escalate_at and not revision.escalated:
            revision.escalated = revision.reminded = True
            text = f"Revision {plan.revision} for {people(plan.recipients)} still waits for a decision."
            self.state.escalations.escalate(f"overdue:{plan.revision}", "overdue", text, now, revision=plan.revision)
        elif now >= plan.remind_at and not revision.reminded:
            revision.reminded = True
            text = f"Please decide revision {plan.revision} for {people(plan.recipients)}."
            await self.notify("reminder", plan, text)

    async def open_rest(self, revision: Revision) -> None:
        """Asks people whether the rest is told too, now that the first few were."""
        request = RestRequest(outreach=self._id, revision=revision.plan.revision)
        opened = await workflow.execute_local_activity_method(CanaryActivities.open_rest, request, **QUICK)
        revision.canary = Canary.model_validate(opened.model_dump())
        self.hear_early()
        if not revision.canary.waits:
            return  # whoever was quick has decided
        text = f"Told first: {opened.told}. Please decide with `tellfirst continue` about the other {opened.rest}."
        await self.notify("reminder", revision.plan, text)

    async def rest_deadlines(self, revision: Revision) -> None:
        """Reminds and escalates while the word about the rest is waited for, and gives the rest up in the end."""
        canary, plan, now = revision.canary, revision.plan, workflow.now()
        if canary is None or not canary.waits:
            return
        if now >= canary.decide_by:
            await self.give_rest_up(revision, "expired")
            if canary.status == "expired":
                text = f"Nobody let the other {people(canary.rest)} be told in time; nobody of them was told."
                await self.notify("expired", plan, text)
        elif now >= canary.escalate_at and not canary.escalated:
            canary.escalated = canary.reminded = True
            text = f"Revision {plan.revision}: the other {people(canary.rest)} still wait for a continue."
            self.state.escalations.escalate(f"overdue:{plan.revision}", "overdue", text, now, revision=plan.revision)
        elif now >= canary.remind_at and not canary.reminded:
            canary.reminded = True
            text = f"Please decide whether the other {people(canary.rest)} should be told too."
            await self.notify("reminder", plan, text)

    async def give_rest_up(
        self, revision: Revision, status: Literal["rejected", "expired", "cleared", "aborted"]
    ) -> None:
        """Records that the rest is not told; whoever let it go a moment before is heard."""
        canary = revision.canary
        if canary is None or not revision.rest_is_open:
            return
        request = CloseRestRequest(outreach=self._id, revision=revision.plan.revision, status=status)
        stands = await workflow.execute_local_activity_method(CanaryActivities.close_rest, request, **QUICK)
        # Whoever decided in that very moment is heard.
        canary.status = "approved" if status == "expired" and stands == "approved" else status
