"""Several hands: who has agreed already, how many are still needed, and what a further approval names."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tellfirst.cli.wiring import Installation
from tellfirst.contract import DecisionEnvelope
from tellfirst.domain.base import Frozen
from tellfirst.errors import SettingsError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import holding
from tellfirst.signing.documents import digest
from tellfirst.signing.kinds import Bound
from tellfirst.signing.registry import Registry
from tellfirst.store.decisions import DecisionRecord


class Agreement(Frozen):
    """Is how far a thing is agreed upon.

    `approvers` have agreed, in that order, of `needed` people with one of `roles`; `first` is the digest of the first
    of their approvals.
    """

    approvers: tuple[str, ...] = ()
    needed: int = 1
    roles: tuple[str, ...] = ()
    first: str = ""

    @property
    def words(self) -> str:
        """Returns in words who has agreed and for whom it waits; empty where one person decides alone."""
        if self.needed < 2:
            return ""
        missing = self.needed - len(self.approvers)
        people = f" ({', '.join(self.approvers)})" if self.approvers else ""
        waits = f"; waiting for {missing} more of {' or '.join(self.roles)}" if missing > 0 else ""
        return f"{len(self.approvers)} of {self.needed} approvals{people}{waits}"

    def prior(self, approver: str) -> str:
        """Returns what an approval of `approver` names: the first one that stands, unless that is their own."""
        joins = 0 < len(self.approvers) < self.needed and self.approvers[0] != approver
        return self.first if joins else ""


def agreement(here: Installation, proposal: Bound, rule: ApprovalRule, revision: int = 0) -> Agreement:
    """Returns how far a plan's revision is agreed upon, or without one a matter; the worker judges it again."""
    records = here.decisions.approvals(proposal.about, revision)
    try:
        registry = Registry.load(here.settings.approvers)
    except SettingsError:  # it is deployed where the workers run, which may be elsewhere
        return _unjudged(records, proposal, rule)
    _, good, _ = holding(records, proposal, rule, registry, here.settings.environment, datetime.now(UTC))
    return Agreement(
        approvers=tuple(one.approver for one in good),
        needed=rule.needed,
        roles=rule.roles,
        first=good[0].document_digest if good else "",
    )


def _unjudged(records: Sequence[DecisionRecord], proposal: Bound, rule: ApprovalRule) -> Agreement:
    given = [(one.approver, DecisionEnvelope.model_validate(one.envelope).document) for one in records]
    about_this = [(approver, document) for approver, document in given if document.get("nonce") == proposal.nonce]
    return Agreement(
        approvers=tuple(approver for approver, _ in about_this),
        needed=rule.needed,
        roles=rule.roles,
        first=digest(about_this[0][1]) if about_this else "",
    )
