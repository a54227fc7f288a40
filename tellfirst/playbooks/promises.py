"""Promises: when each step falls due, fixed at planning so that the approver signs the very date customers read."""

from datetime import datetime, timedelta

from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.schema import Playbook


def planned_steps(playbook: Playbook, now: datetime) -> tuple[PlannedStep, ...]:
    """Returns the steps with their instants: promises count from planning, because the approver signs their date."""
    updates = {step.id: whole_seconds(now + (step.after or timedelta(0))) for step in playbook.updates}
    decide_by = whole_seconds(now + playbook.approval.expires_after)
    first = next((updates[s.id] - s.lead for s in playbook.updates), decide_by + playbook.initial.expires)
    last = max(updates.values(), default=decide_by)
    steps = []
    for step in playbook.steps:
        if step.kind == "update":
            due = updates[step.id]
            steps.append(
                PlannedStep(id=step.id, kind=step.kind, due=due, act_at=due - step.lead, not_after=due + step.expires)
            )
        elif step.kind != "resolved":
            steps.append(PlannedStep(id=step.id, kind=step.kind, not_after=first))
        else:
            steps.append(PlannedStep(id=step.id, kind=step.kind, not_after=last + step.expires))
    return tuple(steps)


def next_promise(steps: tuple[PlannedStep, ...], step: str) -> datetime | None:
    """Returns when the customer who just got `step` hears from us next, None when nothing more is planned."""
    dues = [(s.id, s.due) for s in steps if s.due is not None]
    ids = [id_ for id_, _ in dues]
    if step in ids:
        later = dues[ids.index(step) + 1 :]
        return later[0][1] if later else None
    kind = next(s.kind for s in steps if s.id == step)
    return dues[0][1] if kind == "initial" and dues else None


def whole_seconds(instant: datetime) -> datetime:
    """Returns the instant without its fraction: what is signed and shown is what is kept."""
    return instant.replace(microsecond=0)
