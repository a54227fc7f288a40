"""What an approval of a plan takes, from the playbook it was made from and from what is signed: nothing else counts."""

from tellfirst.playbooks.change import data_changed, points
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import LibraryChange, Proposal
from tellfirst.signing.registry import Registry

LIBRARY_APPROVER = "Library approver"
PRIVACY_OWNER = "Privacy owner"
RESUMERS = ("Incident lead", "Service lead", "Duty manager")
"""Roles of those who may let everything go on after a pause of everything."""
UNKNOWN_PROPOSER = "nobody in the registry of approvers is '{name}'"


def rule_for(playbook: Playbook, proposal: Proposal) -> ApprovalRule:
    """Returns the roles of the playbook, as many people as its audience needs, and never who proposed or wrote it."""
    drafter = playbook.addendum.by if playbook.addendum is not None else ""
    return ApprovalRule(
        roles=playbook.owners.approvers,
        needed=playbook.approval.needed(proposal.audience_count),
        excluded=frozenset({proposal.proposer, proposal.editor, drafter} - {""}),
    )


def continue_rule(playbook: Playbook, proposal: Proposal) -> ApprovalRule:
    """Returns who lets those behind the first few be told: one of those who may approve the message."""
    return rule_for(playbook, proposal).model_copy(update={"needed": 1})


def library_rule(change: LibraryChange) -> ApprovalRule:
    """Returns who lets a playbook version go live: a library approver, and a privacy owner too when its data changed.

    They are two people, and never the one who proposed it.
    """
    roles = (LIBRARY_APPROVER, PRIVACY_OWNER) if change.data_changed else (LIBRARY_APPROVER,)
    excluded = frozenset({change.proposer})
    return ApprovalRule(roles=roles, needed=len(roles), each=roles, excluded=excluded)


def resume_rule() -> ApprovalRule:
    """Returns who ends a pause of everything: two people.

    Whoever paused may be one of them: they know best why, and the other has to see it too.
    """
    return ApprovalRule(roles=RESUMERS, needed=2)


def may_not_propose(name: str, playbook: Playbook, registry: Registry) -> str:
    """Returns in a sentence why somebody may not propose a version of a playbook; empty where they may.

    Its `owners.proposers` are people, teams or roles, and whoever proposes is in the registry.
    """
    person = next((one for one in registry.people if one.principal == name), None)
    if person is None:
        return UNKNOWN_PROPOSER.format(name=name)
    proposers = playbook.owners.proposers
    if {person.principal, person.team, *person.roles}.isdisjoint(proposers):
        return f"'{name}' is none of its proposers ({', '.join(proposers)})"
    return ""


def misstates(change: LibraryChange, new: LoadedPlaybook | None, old: LoadedPlaybook | None) -> bool:
    """Returns whether a change says anything else than the texts it speaks of; `old` is the one that it replaces."""
    if new is None or (new.playbook.id, new.version) != (change.playbook, change.playbook_version):
        return True
    if (old.version if old else "") != change.replaces or (old is not None and old.playbook.id != change.playbook):
        return True
    told = (points(new.playbook), data_changed(old.playbook if old else None, new.playbook))
    return told != (change.checklist, change.data_changed)
