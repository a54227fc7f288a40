"""One page in work: what was asked, what stays the same while its micro-batches leave, and what became of it."""

from pydantic import AwareDatetime

from activities.approvals import ApprovedPage
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel, Rendered
from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.promises import next_promise
from tellfirst.playbooks.render import Template, compile_step
from tellfirst.playbooks.schema import Playbook
from tellfirst.store.leases import PageKey
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.sends import PlannedSend


class PageRequest(Frozen):
    """Asks to send one page of one step."""

    outreach: str
    revision: int
    step: str
    channel: Channel
    page: int


class PageReport(Frozen):
    """Is what became of a page; `halted` says why it stopped early, its rows then wait as they were.

    Of `deferred` messages the hour has not come; the page is asked for again at `next_at`.
    """

    accepted: int = 0
    withheld: int = 0
    failed: int = 0
    in_doubt: int = 0
    halted: str = ""
    deferred: int = 0
    next_at: AwareDatetime | None = None
    broken: int = 0  # promised messages that could not leave in time


class Page:
    """Is one page in work: everything that stays the same while its micro-batches leave."""

    def __init__(
        self, request: PageRequest, revision: RevisionRecord, playbook: Playbook, signed: ApprovedPage
    ) -> None:
        self.revision = revision
        self.key = PageKey(outreach=request.outreach, revision=request.revision, step=request.step, page=request.page)
        self.channel = request.channel
        self.playbook = playbook
        self.plan = revision.plan
        self.step: PlannedStep = next(s for s in revision.plan.steps if s.id == request.step)
        self.signed = signed
        self._templates: dict[str, Template] = {}

    def render(self, send: PlannedSend) -> Rendered | None:
        """Returns the text, or None when this row's facts do not make one."""
        row = send.recipient
        if row.locale not in self._templates:
            self._templates[row.locale] = compile_step(self.playbook, self.step.id, self.channel, row.locale)
        promise = next_promise(self.plan.steps, self.step.id, row.promises)
        try:
            return self._templates[row.locale].render(
                row.facts, promise=promise, zone=row.timezone or self.playbook.timezone, others=row.others
            )
        except RenderError:
            return None
