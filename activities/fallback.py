"""Fallback: for whom a step was lost on one channel, and so goes by the next."""

from temporalio import activity

from activities.failures import on_record, told_plainly
from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import PageSpan, spans_of
from tellfirst.store.alternates import Alternates
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.outreaches import Outreaches


class LostRequest(Frozen):
    """Asks for whom a step goes by another channel now."""

    outreach: str
    revision: int
    step: str


class Lost(Frozen):
    """Says on which pages of alternates a step has to leave, and how many calls of it nobody has made yet."""

    spans: tuple[PageSpan, ...] = ()
    calls: int = 0


class FallbackActivities:
    """Looks for what was lost on the way."""

    def __init__(self, *, outreaches: Outreaches, alternates: Alternates, calls: CallTasks) -> None:
        self._outreaches, self._alternates, self._calls = outreaches, alternates, calls

    @activity.defn(no_thread_cancel_exception=True)
    def look_for_lost(self, request: LostRequest) -> Lost:
        """Looks who lost a step on every channel before, or got the first message by another one."""
        with told_plainly():
            revision = on_record(self._outreaches.revision(request.outreach, request.revision))
            kind = next(step.kind for step in revision.plan.steps if step.id == request.step)
            pages = self._alternates.due_pages(request.outreach, request.revision, request.step, kind)
            calls = self._calls.waiting(request.outreach, request.revision, request.step)
            return Lost(spans=spans_of(pages), calls=calls)
