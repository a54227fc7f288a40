"""A request for an exception, the grant that was proposed for it, and the boundary it stands under."""

from datetime import datetime

from activities.library import LibraryGate
from activities.playbooks import PlannedPlaybooks
from tellfirst.contract import exception_id
from tellfirst.domain.base import Frozen
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.policy.exceptions import Asked, grant_rule
from tellfirst.signing.kinds import Grant
from tellfirst.store.exceptions import ExceptionRecord, Exceptions
from tellfirst.store.matters import MatterRecord, Matters
from tellfirst.store.outreaches import Outreaches, RevisionRecord

NO_ANSWER = "none"
"""Stands for the digest of the answer to a customer who has no channel to be answered on."""


class Granted(Frozen):
    """Is a request with everything that a grant of it rests on."""

    record: ExceptionRecord
    matter: MatterRecord
    grant: Grant
    playbook: Playbook
    rule: ApprovalRule


class GrantReader:
    """Reads a request with its grant and its boundary, which comes from a playbook that may send here."""

    def __init__(
        self,
        *,
        exceptions: Exceptions,
        matters: Matters,
        outreaches: Outreaches,
        playbooks: PlannedPlaybooks,
        gate: LibraryGate,
    ) -> None:
        self._exceptions, self._matters = exceptions, matters
        self._outreaches, self._playbooks, self._gate = outreaches, playbooks, gate

    def playbook(self, outreach: str, number: int) -> tuple[RevisionRecord, Playbook] | None:
        """Returns a revision and its playbook, None where there is none or its text was changed."""
        revision = self._outreaches.revision(outreach, number)
        if revision is None or not self._playbooks.is_signed(revision):
            return None
        return revision, self._playbooks.of(revision)

    def refusal(self, revision: RevisionRecord, playbook: Playbook, *, now: datetime) -> str:
        """Returns why nothing is granted under this playbook here and now, as a code; empty when it may be."""
        return self._gate.refusal(playbook, revision.proposal.playbook_version, now=now)

    def read(self, request: str, *, now: datetime) -> Granted | str:
        """Returns the request, or the code of what is wrong with what the database holds of it."""
        record, matter = self._exceptions.get(request), self._matters.get(exception_id(request))
        if record is None or matter is None or not isinstance(matter.proposal, Grant):
            return "not_ready"
        grant = matter.proposal
        kept = (record.id, record.outreach_id, record.customer_id, record.kind, record.ticket)
        said = (grant.request, grant.outreach, grant.customer, grant.exception, grant.ticket)
        money = (record.amount_minor, record.currency, record.requester)
        if kept != said or money != (grant.amount_minor, grant.currency, grant.requester):
            return "stale_content"
        found = self.playbook(record.outreach_id, record.revision)
        if found is None:
            return "playbook_changed"
        if code := self.refusal(*found, now=now):
            return code
        boundary = boundary_of(found[1], record.kind)
        rule = None if boundary is None else grant_rule(asked_of(record), boundary)
        if rule is None:
            return "outside_boundary"
        return Granted(record=record, matter=matter, grant=grant, playbook=found[1], rule=rule)


def boundary_of(playbook: Playbook, kind: str) -> Boundary | None:
    """Returns the boundary of a kind of exceptions, None where the playbook has none."""
    return next((boundary for name, boundary in playbook.exceptions.items() if name == kind), None)


def asked_of(record: ExceptionRecord) -> Asked:
    """Returns what was asked for, as the policy judges it."""
    return Asked(
        kind=record.kind, amount_minor=record.amount_minor, currency=record.currency, requester=record.requester
    )
