"""Whether a plan as it is kept is the one whose words, dates and deadlines were signed."""

from tellfirst.domain.plan import Plan
from tellfirst.playbooks.promises import planned_steps
from tellfirst.playbooks.schema import Playbook
from tellfirst.signing.kinds import Proposal


def misstates_proposal(plan: Plan, proposal: Proposal, playbook: Playbook) -> bool:
    """Returns whether a plan's steps are not its playbook's from one instant on, or its dates not those signed."""
    promises = {step.id: step.due for step in plan.updates}
    return (
        plan.steps != planned_steps(playbook, plan.planned_at)
        or promises != proposal.promises
        or plan.decide_by != proposal.decide_by
        or plan.canary != proposal.canary
    )
