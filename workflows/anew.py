"""Going on from the records: an outreach whose workflow is gone stands again where our own database says it stood."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tellfirst.domain.plan import PageSpan
    from tellfirst.domain.recipient import OnRecord
    from workflows.state import Revision, Sending, State


def go_on(state: State, revision: Revision, record: OnRecord, now: datetime) -> None:
    """Puts a revision where it stood.

    Every step that was begun leaves once more on all its pages: what the effect log knows of stays as it is there, so
    that only what was planned and never left still does, and what is in doubt is asked about.
    """
    state.paused |= record.paused
    revision.anew = True
    if record.status != "pending":
        revision.status = record.status
    if record.wave is None:
        return
    waits = now if record.wave.waiting else None
    revision.wave, revision.t0 = record.wave.model_copy(update={"next_at": waits}), record.t0
    if record.status != "approved":
        return
    plan = revision.plan
    revision.updates_done = sum(update.id in record.begun for update in plan.updates)
    revision.resolved_sent = plan.resolved is not None and plan.resolved.id in record.begun
    revision.due = [Sending(step=step, spans=pages(revision)) for step in record.begun]
    state.look = state.look or "look"


def pages(revision: Revision) -> list[PageSpan]:
    """Returns all pages of a revision that may leave, those of alternates among them."""
    first, end = revision.plan.page_count, sum(pages.count for pages in revision.plan.pages)
    return [PageSpan(first=0, end=revision.reach), *([PageSpan(first=first, end=end)] if end > first else [])]
