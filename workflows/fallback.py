"""Fallback: when it is looked for messages that were lost on the way, and that they leave by the next channel."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.fallback import FallbackActivities, Lost, LostRequest
    from tellfirst.contract import EscalationKind
    from workflows.options import over_audience
    from workflows.state import Lookout, Revision, Sending

LATE = timedelta(hours=4)
"""After so long the last look is taken: hardly any receipt comes later."""

Escalate = Callable[[EscalationKind, Revision, str, str], None]


def watch(revision: Revision, sending: Sending, now: datetime) -> None:
    """Remembers when to look for what was lost of a step that has just left.

    At once, after the playbook's while and once much later, for receipts come late; of what was sent on at once alone,
    for whom the next channel failed too. The first few wait with the others for a person.
    """
    plan, step = revision.plan, revision.planned(sending.step)
    calls = "person" in plan.channels
    waits = step.opens and revision.reach < plan.page_count
    # However the rows stand, no more rounds in a row than there are channels to go by.
    if waits or not (plan.has_alternates or calls) or sending.fallback >= len(plan.channels):
        return
    further = [] if sending.fallback else [plan.fallback_after, LATE, *([plan.call_within] if calls else [])]
    for after in sorted({timedelta(0), *further}):
        if now + after < step.not_after:
            revision.lookouts.append(Lookout(step=step.id, at=now + after, since=now, fallback=sending.fallback))


async def fall_back(outreach: str, revision: Revision, now: datetime, escalate: Escalate) -> None:
    """Has a step leave by another channel for whom it was lost, as far as it is time to look."""
    plan = revision.plan
    for one in [one for one in revision.lookouts if one.at <= now]:
        request = LostRequest(outreach=outreach, revision=plan.revision, step=one.step)
        lost: Lost = await over_audience(FallbackActivities.look_for_lost, request, plan.recipients)
        revision.lookouts.remove(one)
        if lost.spans:
            revision.due.append(Sending(step=one.step, spans=list(lost.spans), fallback=one.fallback + 1))
        if not lost.calls:
            continue
        if now - one.since >= plan.call_within:
            waits = "1 customer waits" if lost.calls == 1 else f"{lost.calls:,} customers wait"
            escalate("calls_waiting", revision, one.step, f"{waits} for a call about step '{one.step}'.")
        # How a call went is known when somebody says so: looked at ever more seldom, until it is too late for it.
        later = now + max(plan.fallback_after, now - one.since)
        planned = any(other.step == one.step and other.at <= later for other in revision.lookouts)
        if not planned and later < revision.planned(one.step).not_after:
            revision.lookouts.append(one.model_copy(update={"at": later}))
