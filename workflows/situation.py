"""How an outreach stands, in words for people and in values for the search attributes."""

from datetime import datetime

from pydantic import BaseModel

from tellfirst.contract import Stage
from workflows.escalations import Escalation, stage_of, standing
from workflows.state import Revision, State, promised


class Situation(BaseModel):
    """Is how an outreach stands, for the search attributes, the view and the words in the UI."""

    stage: Stage
    waiting_on: str = ""
    deadline: datetime | None = None
    words: str = ""


def situation(state: State, now: datetime) -> Situation:
    """Returns how the outreach stands and what is waited for, in words that say who, since when, and what to do."""
    if open_ := state.escalations.open:
        return _escalated(state, open_)
    if state.paused and not state.aborted:
        return Situation(stage=Stage.PAUSED, words="Held by a person; `tellfirst resume` lets it go on.")
    if pending := [r for r in state.revisions if r.awaits_people]:
        revision = pending[0]
        roles, asked, until = ", ".join(revision.plan.approvers), _asked(revision), revision.decide_by
        run = "`tellfirst show`" if revision.status == "pending" else "`tellfirst continue`"
        words = f"Waiting for **{roles}** to decide {asked}, until {_when(until)}. Run {run}."
        return Situation(stage=Stage.AWAITING_APPROVAL, waiting_on=roles, deadline=until, words=words)
    if not state.revisions or state.to_plan:
        return Situation(stage=Stage.PLANNING, words="Finding the affected customers.")
    if any(r.on_its_way or (r.status == "approved" and r.wave is None) for r in state.revisions):
        return Situation(stage=Stage.SENDING, words="Messages are on their way.")
    if waits := _waits(state):
        return waits
    end = state.window_end
    due = min((u.due for r in state.revisions if (u := promised(state, r)) is not None and u.due), default=end)
    words = "Aborted. " if state.aborted else "Told. "
    if due is not None and due != end:
        words += f"The next update is promised for {_when(due)}. "
    if end is not None:
        words += f"The window for contacts closes {_when(end)}."
    return Situation(stage=Stage.AWAITING_WINDOW, deadline=due, words=words)


def _waits(state: State) -> Situation | None:
    """Returns how it stands where messages wait for an hour at which their customers may be disturbed."""
    if state.aborted:
        return None
    told_later = [(at, r.wave.waiting) for r in state.revisions if (at := r.next_wave) is not None and r.wave]
    instants = [at for at, _ in told_later] + [later.at for r in state.revisions for later in r.deferred]
    if not instants:
        return None
    who = people(count) if (count := sum(n for _, n in told_later)) else "Some"
    words = f"{who} will be told when they may be disturbed, the next {_when(min(instants))}."
    return Situation(stage=Stage.SENDING, deadline=min(instants), words=words)


def _escalated(state: State, escalations: list[Escalation]) -> Situation:
    first, rungs = escalations[0], state.rungs(escalations[0])
    climbed = standing(escalations, state.rungs)
    waiting_on, deadline = first.waiting_on(rungs), first.next_at(rungs)
    if first.kind == "overdue":
        revision = next(r for r in state.revisions if r.plan.revision == first.revision)
        plan = revision.plan
        roles = ", ".join(plan.approvers)
        # Whoever was told sees to it; only these can decide.
        waiting_on = waiting_on if stage_of(escalations) is Stage.ESCALATED else roles
        deadline = min(deadline or revision.decide_by, revision.decide_by)
        run = "`tellfirst show` and then `tellfirst approve` or `tellfirst reject`"
        if revision.status != "pending":
            run = "`tellfirst continue`, with `--reject` to leave it at those"
        words = (
            f"Approval is overdue: waiting for **{roles}** {_asked(revision)}. Silence is not consent: it expires "
            f"{_when(revision.decide_by)}. Run {run}."
        )
    elif first.kind == "attention":
        words = (
            f"Waiting for **{waiting_on}** since {_when(first.opened_at)}: {first.text}. "
            "Mend it and `tellfirst resume`, or `tellfirst abort`."
        )
    elif first.kind == "harm":
        words = f"Since {_when(first.opened_at)}: {first.text}"
    elif first.kind == "promise_at_risk":
        words = f"Since {_when(first.opened_at)}: {first.text} `tellfirst resume` lets it go on."
    else:
        words = f"Since {_when(first.opened_at)}: {first.text} `tellfirst ack --done` says that it is settled."
    return Situation(stage=stage_of(escalations), waiting_on=waiting_on, deadline=deadline, words=f"{words} {climbed}")


def _asked(revision: Revision) -> str:
    plan, canary = revision.plan, revision.canary
    if canary is not None:
        told = f"{canary.told:,} {'was' if canary.told == 1 else 'were'} told first"
        others = f"the other {people(canary.rest)}"
        return f"about {others} since {_when(canary.opened_at)} (revision {plan.revision}, {told})"
    asked = f"since {_when(plan.planned_at)} (revision {plan.revision}, {people(plan.recipients)})"
    return asked if plan.needed == 1 else f"{asked}; {revision.approvals} of {plan.needed} approvals are here"


def people(count: int) -> str:
    """Returns how many recipients, in words."""
    return f"{count:,} recipient{'' if count == 1 else 's'}"


def _when(instant: datetime) -> str:
    return f"{instant:%d %b %Y, %H:%M} UTC"
