"""Whether a plan as it is kept is the one whose words, dates and deadlines were signed."""

from tellfirst.domain.plan import Plan
from tellfirst.playbooks.promises import planned_steps, whole_seconds
from tellfirst.playbooks.schema import Playbook
from tellfirst.signing.kinds import Proposal


def misstates_proposal(plan: Plan, proposal: Proposal, playbook: Playbook) -> bool:
    """Returns whether a plan's steps are not its playbook's from one instant on, or its dates not those signed.

    That instant is bound by the deadline for deciding, also where nothing is promised.
    """
    promises = {step.id: step.due for step in plan.updates}
    return (
        plan.steps != planned_steps(playbook, plan.planned_at)
        or promises != proposal.promises
        or not plan.decide_by == proposal.decide_by == whole_seconds(plan.planned_at + playbook.approval.expires_after)
        or plan.canary != proposal.canary
    )
