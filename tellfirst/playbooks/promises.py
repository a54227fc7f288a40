"""Promises: when each step falls due, fixed at planning so that the approver signs the very date customers read."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.hours import Calendar, opening


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


def own_promises(steps: tuple[PlannedStep, ...], calendar: Calendar) -> dict[str, datetime] | None:
    """Returns what a recipient is promised where their hours do not suit the plan's instants, by step.

    A promise stands when some instant from its preparation on is open for them; else it is their next opening and the
    time of preparation after that. Returns None when one could then not be kept before it is too late for its step.
    """
    own: dict[str, datetime] = {}
    for step in steps:
        if step.due is None or step.act_at is None:
            continue
        opens = opening(calendar, step.act_at)
        if opens is None:
            return None
        if opens > step.due:
            own[step.id] = opens + (step.due - step.act_at)
            if own[step.id] >= step.not_after:
                return None
    return own


def next_promise(
    steps: tuple[PlannedStep, ...], step: str, own: Mapping[str, datetime] | None = None
) -> datetime | None:
    """Returns when the customer who just got `step` hears from us next, None when nothing more is planned.

    `own` are the instants that were promised to them in place of the plan's, by step.
    """
    dues = [(s.id, (own or {}).get(s.id, s.due)) for s in steps if s.due is not None]
    ids = [id_ for id_, _ in dues]
    if step in ids:
        later = dues[ids.index(step) + 1 :]
        return later[0][1] if later else None
    kind = next(s.kind for s in steps if s.id == step)
    return dues[0][1] if kind == "initial" and dues else None


def whole_seconds(instant: datetime) -> datetime:
    """Returns the instant without its fraction: what is signed and shown is what is kept."""
    return instant.replace(microsecond=0)
