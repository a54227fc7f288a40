"""What an approval of a plan takes, from the playbook it was made from and from what is signed: nothing else counts."""

from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import Proposal


def rule_for(playbook: Playbook, proposal: Proposal) -> ApprovalRule:
    """Returns the roles of the playbook, as many people as its audience needs, and never who proposed or wrote it."""
    return ApprovalRule(
        roles=playbook.owners.approvers,
        needed=playbook.approval.needed(proposal.audience_count),
        excluded=frozenset({proposal.proposer, proposal.editor} - {""}),
    )
