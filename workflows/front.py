"""The front of an outreach: its search attributes, its words in the UI, its view, and the notices it gives."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.outreach import NoticeRequest, OutreachActivities
    from tellfirst import contract
    from tellfirst.contract import RevisionView, View
    from tellfirst.domain.plan import Plan
    from workflows.mailbox import Mailbox
    from workflows.options import QUICK
    from workflows.state import Revision, Situation, situation


class Front(Mailbox):
    """Says how the outreach stands, to machines and to people."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Situation | None = None

    async def notify(self, kind: Any, plan: Plan, text: str) -> None:
        """Tells the people of a plan something, once."""
        to = plan.owner if kind in ("attention", "promise_at_risk", "expired") else ", ".join(plan.approvers)
        request = NoticeRequest(
            id=f"{self._id}:{plan.revision}:{kind}:{workflow.info().get_current_history_length()}",
            outreach=self._id,
            kind=kind,
            to=to,
            text=text[:500],
        )
        await workflow.execute_local_activity_method(OutreachActivities.notify, request, **QUICK)

    async def needs_attention(self, why: str) -> None:
        """Stops sending and asks for a person; the outreach shows as needing attention until it is resumed."""
        self.state.ask(why, workflow.now())
        if self.state.revisions:
            await self.notify("attention", self.state.revisions[-1].plan, why)

    def show(self, shown: Situation | None = None) -> None:
        """Flips the search attributes where they changed, and says in words how the outreach stands."""
        shown = shown or situation(self.state, workflow.now())
        before, self._shown = self._shown, shown
        workflow.set_current_details(shown.words)
        updates: list[Any] = []
        if before is None or before.stage != shown.stage:
            updates.append(contract.STAGE.value_set(shown.stage))
        if before is None or before.waiting_on != shown.waiting_on:
            updates.append(contract.WAITING_ON.value_set(shown.waiting_on or "nobody"))
        if (before is None or before.deadline != shown.deadline) and shown.deadline is not None:
            updates.append(contract.DEADLINE.value_set(shown.deadline))
        if before is None and self.state.revisions:
            plan = self.state.revisions[-1].plan
            updates += [
                contract.TRIGGER.value_set(plan.playbook),
                contract.REASON.value_set(plan.reason_code),
                contract.OWNER.value_set(plan.owner),
                contract.RECIPIENTS.value_set(sum(r.plan.recipients for r in self.state.revisions)),
            ]
        if updates:
            workflow.upsert_search_attributes(updates)

    @workflow.query(name=contract.VIEW)
    def view(self) -> View:
        """Returns how the outreach stands."""
        shown = situation(self.state, workflow.now())
        return View(
            outreach=self._id,
            trigger=self.state.trigger,
            stage=self._shown.stage if self._shown else contract.Stage.PLANNING,
            waiting_on=shown.waiting_on,
            deadline=shown.deadline,
            details=shown.words,
            paused=self.state.paused,
            revisions=tuple(_view(r) for r in self.state.revisions),
            refused_messages=self.state.refused,
        )


def _view(revision: Revision) -> RevisionView:
    return RevisionView(
        number=revision.plan.revision,
        recipients=revision.plan.recipients,
        status=revision.status,
        decide_by=revision.plan.decide_by,
        step=revision.sending.step if revision.sending else "",
        root=revision.plan.root,
    )
