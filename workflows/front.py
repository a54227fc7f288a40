"""The front of an outreach: its search attributes, its words in the UI, its view, and the notices it gives."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from activities.escalations import NoticeRequest
    from tellfirst import contract
    from tellfirst.contract import RevisionView, View
    from tellfirst.domain.plan import Plan
    from workflows.ladder import Ladder
    from workflows.mailbox import Mailbox
    from workflows.situation import Situation, situation
    from workflows.state import Revision


class Front(Mailbox):
    """Says how the outreach stands, to machines and to people."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Situation | None = None
        # What it was started with, or its last run left, stands already.
        given = workflow.info().typed_search_attributes
        self._attributes: dict[SearchAttributeKey[Any], Any] = {pair.key: pair.value for pair in given}
        self.ladder = Ladder(
            self._id,
            lambda: self.state.escalations,
            lambda one: self.state.rungs(one),
            lambda one: self.state.over(one),
            self.show,
        )

    async def notify(self, kind: Any, plan: Plan, text: str) -> None:
        """Tells the people of a plan something, once; no outreach stops because a notice could not be kept."""
        to = (plan.owner,) if kind == "expired" else plan.approvers
        request = NoticeRequest(
            id=f"{self._id}:{plan.revision}:{kind}:{workflow.info().get_current_history_length()}",
            outreach=self._id,
            kind=kind,
            to=to,
            text=text[:500],
        )
        await self.ladder.notify(request)

    async def come_to_rest(self, *, closing: bool = False) -> None:
        """Waits until all that came in is answered and every escalation is kept, at one and the same moment."""
        while True:
            await self.settle_messages()
            await self.ladder.rest(closing=closing)
            if self.settled:
                return

    async def needs_attention(self, why: str) -> None:
        """Stops sending and asks for a person; the outreach shows as needing attention until it is resumed."""
        self.state.ask(why, workflow.now())

    def show(self, shown: Situation | None = None) -> None:
        """Flips the search attributes where they changed, and says in words how the outreach stands."""
        self._shown = shown = shown or situation(self.state, workflow.now())
        workflow.set_current_details(shown.words)
        values: dict[SearchAttributeKey[Any], Any] = {
            contract.STAGE: shown.stage,
            contract.WAITING_ON: shown.waiting_on or "nobody",
            contract.DEADLINE: shown.deadline,
        }
        if self.state.revisions:
            plan = self.state.revisions[-1].plan
            values |= {
                contract.TRIGGER: plan.playbook,
                contract.REASON: plan.reason_code,
                contract.OWNER: plan.owner,
                contract.RECIPIENTS: self.state.recipients,
            }
        before, self._attributes = self._attributes, self._attributes | values
        updates = [
            key.value_unset() if value is None else key.value_set(value)
            for key, value in values.items()
            if key not in before or before[key] != value
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
            stage=(self._shown or shown).stage,
            waiting_on=shown.waiting_on,
            deadline=shown.deadline,
            details=shown.words,
            paused=self.state.paused,
            revisions=tuple(_view(r) for r in self.state.revisions),
            escalations=tuple(one.seen(self.state.rungs(one)) for one in self.state.escalations.open),
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
