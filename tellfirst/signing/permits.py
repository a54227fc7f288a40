"""Standing permits: who lets outreaches go in advance, and which of them a permit covers."""

from datetime import datetime
from decimal import Decimal

from tellfirst.domain.base import Frozen
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import Permit, Proposal


class Used(Frozen):
    """Is what was taken of a permit: recipients in all and of the outreach in question, and cost in millionths."""

    in_all: int = 0
    in_outreach: int = 0
    cost_micros: int = 0


def permit_rule(playbook: Playbook, permit: Permit) -> ApprovalRule:
    """Returns the roles one level up, and never who proposed the permit or wrote the playbook's version."""
    standing = playbook.approval.standing
    return ApprovalRule(
        roles=standing.approvers if standing else (), excluded=frozenset({permit.proposer, permit.editor} - {""})
    )


def oversteps(permit: Permit, playbook: Playbook) -> str:
    """Returns why a permit goes beyond what its playbook lets be permitted; empty when it does not."""
    standing = playbook.approval.standing
    if standing is None:
        return f"the playbook '{playbook.id}' lets nothing be permitted in advance"
    if not 1 <= permit.per_outreach <= standing.per_outreach:
        return f"one outreach of '{playbook.id}' may be permitted for 1 to {standing.per_outreach:,} recipients"
    if not permit.per_outreach <= permit.in_all <= standing.in_all:
        return f"'{playbook.id}' may be permitted for {permit.per_outreach:,} to {standing.in_all:,} recipients in all"
    if not permit.channels or not set(permit.channels) <= set(playbook.channels):
        return f"'{playbook.id}' leaves on other channels"
    return ""


def uncovered(permit: Permit, proposal: Proposal, playbook: Playbook, used: Used, now: datetime) -> str:
    """Returns in a sentence why a permit does not cover a plan; empty when it does.

    `used` is what others took of it already; `now` is aware.
    """
    name = f"permit {permit.permit}"
    if (permit.playbook, permit.playbook_version) != (proposal.playbook, proposal.playbook_version):
        return f"{name} is for another version of the playbook"
    if permit.environment != proposal.environment:
        return f"{name} is for another environment"
    if now > permit.valid_until:
        return f"{name} ended {_when(permit.valid_until)}"
    if proposal.valid_until > permit.valid_until:
        return f"{name} ends {_when(permit.valid_until)}, before the last of these messages may leave"
    if others := sorted((proposal.channels.keys() | proposal.fallbacks.keys()) - set(permit.channels)):
        return f"{name} is not for {' and '.join(others)}"
    if proposal.canary:
        return f"{name} covers nothing that goes to the first few alone"
    count = proposal.audience_count
    if count > playbook.approval.tripwire:
        return f"{name} covers nothing above the tripwire of {playbook.approval.tripwire:,} recipients"
    if used.in_outreach + count > permit.per_outreach:
        return f"{name} covers {permit.per_outreach:,} of one outreach, this needs {used.in_outreach + count:,}"
    if used.in_all + count > permit.in_all:
        return f"{name} has {permit.in_all - used.in_all:,} left, this needs {count:,}"
    if permit.currency and permit.currency != proposal.currency:
        return f"{name} is limited in cost, and the cost of this is unknown in {permit.currency}"
    if permit.currency and used.cost_micros + proposal.cost_micros > permit.cost_micros:
        left = _money(permit.cost_micros - used.cost_micros, permit.currency)
        return f"{name} has {left} left, this needs {_money(proposal.cost_micros, permit.currency)}"
    return ""


def _money(micros: int, currency: str) -> str:
    return f"{Decimal(micros) / 1_000_000:,.2f} {currency}"


def _when(instant: datetime) -> str:
    return f"{instant:%d %b %Y, %H:%M} UTC"
