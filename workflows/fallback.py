"""Fallback: when it is looked for messages that were lost on the way, and that they leave by the next channel."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.fallback import FallbackActivities, Lost, LostRequest
    from workflows.options import over_audience
    from workflows.state import Lookout, Revision, Sending

LATE = timedelta(hours=4)
"""After so long the last look is taken: hardly any receipt comes later."""


def watch(revision: Revision, sending: Sending, now: datetime) -> None:
    """Remembers when to look for what was lost of a step that has just left.

    At once, after the playbook's while and once much later: receipts come late. What has gone by another channel is
    looked at at once alone, for whom that one failed too. The first few wait with the others for a person.
    """
    step = next(step for step in revision.plan.steps if step.id == sending.step)
    waits = step.opens and revision.reach < revision.plan.page_count
    if not revision.plan.has_alternates or waits:
        return
    further = () if sending.alternate else (revision.plan.fallback_after, LATE)
    for after in (timedelta(0), *further):
        if now + after < step.not_after:
            revision.lookouts.append(Lookout(step=step.id, at=now + after))


async def fall_back(outreach: str, revision: Revision, now: datetime) -> None:
    """Has a step leave by another channel for whom it was lost, as far as it is time to look."""
    due = {lookout.step for lookout in revision.lookouts if lookout.at <= now}
    for step in sorted(due):
        request = LostRequest(outreach=outreach, revision=revision.plan.revision, step=step)
        lost: Lost = await over_audience(FallbackActivities.look_for_lost, request, revision.plan.recipients)
        revision.lookouts = [one for one in revision.lookouts if one.step != step or one.at > now]
        if lost.spans:
            revision.due.append(Sending(step=step, spans=list(lost.spans), alternate=True))
