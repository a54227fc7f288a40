"""Whether a signed decision holds: judged on receipt, and again for every micro-batch, from what was signed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import Field

from activities.playbooks import PlannedPlaybooks
from tellfirst.contract import DecisionEnvelope
from tellfirst.domain.base import Frozen
from tellfirst.domain.recipient import Recipient
from tellfirst.errors import DecisionRefusedError, SettingsError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.audience import page_digest, root
from tellfirst.signing.decisions import AcceptedDecision, check, holding
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.plans import misstates_proposal
from tellfirst.signing.registry import Registry
from tellfirst.signing.rules import rule_for
from tellfirst.store.chain import Chain
from tellfirst.store.decisions import DecisionRecord, Decisions, Good, came_before
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.recipients import Recipients

STATUS = {"approve": "approved", "reject": "rejected", "request_changes": "changes_requested"}
"""How a thing stands once it is decided so."""


class RegistryFile:
    """Reads the approver registry again whenever its file changes, so that a revocation needs no restart."""

    def __init__(self, path: Path, chain: Chain) -> None:
        self._path, self._chain = path, chain
        self._seen: tuple[int, int] | None = None
        self._registry: Registry | None = None

    def current(self) -> Registry:
        """Returns the registry as deployed now; raises SettingsError when it cannot be read."""
        stamp = self._path.stat() if self._path.exists() else None
        seen = None if stamp is None else (stamp.st_mtime_ns, stamp.st_size)
        if self._registry is None or seen is None or seen != self._seen:
            registry = Registry.load(self._path)
            self._note(registry)
            self._registry, self._seen = registry, seen
        return self._registry

    def _note(self, registry: Registry) -> None:
        keys = [key for person in registry.people for key in person.keys]
        self._chain.note_change(
            "registry",
            self._path.name,
            registry.digest,
            actor="worker",
            at=datetime.now(UTC),
            people=len(registry.people),
            keys=len(keys),
            revoked=sum(key.revoked is not None for key in keys),
        )


class ApprovedPage(Frozen):
    """Is what was signed of a page: the leaf of each of its rows, by id, or why it is not the page that was signed."""

    differs: str = ""
    leaves: dict[int, str] = Field(default_factory=dict)

    def covers(self, row: Recipient) -> bool:
        """Returns whether a row, read later, is on the page and still what was signed."""
        return self.leaves.get(row.id) == leaf_of(row, row.content_digest)


class InAdvance(Protocol):
    """Says which revisions were permitted in advance."""

    def outside(self, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while a permit that holds covers the revision, else a code."""
        ...


class Approvals:
    """Judges decisions from the stored envelope, the registry as it is now, and the very rows of the page."""

    def __init__(
        self,
        *,
        decisions: Decisions,
        recipients: Recipients,
        playbooks: PlannedPlaybooks,
        registry: RegistryFile,
        standing: InAdvance,
        environment: str,
    ) -> None:
        self._decisions, self._recipients, self._playbooks = decisions, recipients, playbooks
        self._standing = standing
        self._registry, self._environment = registry, environment

    def rule(self, revision: RevisionRecord) -> ApprovalRule:
        """Returns what an approval of this revision takes."""
        return rule_for(self._playbooks.of(revision), revision.proposal)

    def judge(
        self, envelope: DecisionEnvelope, revision: RevisionRecord, *, received_at: datetime, now: datetime
    ) -> AcceptedDecision:
        """Returns the decision if it holds for this revision; raises DecisionRefusedError with its code if not."""
        if (revision.proposal.outreach, revision.proposal.revision) != (revision.outreach, revision.number):
            # Rows copied under another name would bring their approval along.
            raise DecisionRefusedError("wrong_outreach", "what is kept here was proposed for another outreach")
        if not self._playbooks.is_signed(revision):
            raise DecisionRefusedError("playbook_changed", "the playbook that is kept is not the one that was proposed")
        rule = self.rule(revision)
        records = self._decisions.approvals(revision.outreach, revision.number)
        _, good, _ = self._holding(came_before(records, envelope.model_dump(mode="json")), revision, now)
        return check(
            envelope,
            revision.proposal,
            rule,
            self._registry.current(),
            self._environment,
            received_at=received_at,
            now=now,
            first=good[0] if 0 < len(good) < rule.needed else None,
        )

    def good(self, revision: RevisionRecord, *, now: datetime) -> Good:
        """Returns what tells the approvals of this revision that hold together now."""

        def those(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
            places, _, _ = self._holding(records, revision, now)
            return [records[place] for place in places]

        return those

    def holds(self, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while enough approvals of this revision hold, else the code of what is wrong.

        What a standing permit covers needs none; where the permit no longer holds, people may approve it all the same.
        """
        if (revision.proposal.outreach, revision.proposal.revision) != (revision.outreach, revision.number):
            return "wrong_outreach"  # rows copied under another name
        if not self._playbooks.is_signed(revision):
            return "playbook_changed"
        if misstates_proposal(revision.plan, revision.proposal, self._playbooks.of(revision)):
            return "plan_changed"
        outside = self.outside_permit(revision, now=now)
        if not outside:
            return ""
        records = self._decisions.approvals(revision.outreach, revision.number)
        try:
            places, _, refusal = self._holding(records, revision, now)
        except SettingsError:
            return "no_registry"
        return "" if len(places) >= self.rule(revision).needed else refusal or outside

    def outside_permit(self, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while a standing permit covers this revision, else why none does, as a code."""
        return self._standing.outside(revision, now=now)

    def _holding(
        self, records: Sequence[DecisionRecord], revision: RevisionRecord, now: datetime
    ) -> tuple[list[int], list[AcceptedDecision], str]:
        return holding(
            records, revision.proposal, self.rule(revision), self._registry.current(), self._environment, now
        )

    def page(self, revision: RevisionRecord, number: int, channel: str) -> ApprovedPage:
        """Returns what the signed audience root covers of a page, which leaves on one channel."""
        rows = self._recipients.page(revision.outreach, revision.number, number)
        pages = self._recipients.page_digests(revision.outreach, revision.number)
        leaves = {row.id: leaf_of(row, row.content_digest) for row in rows}
        if root(pages) != revision.proposal.audience_root:
            return ApprovedPage(differs="audience_changed")
        if not 0 <= number < len(pages) or page_digest(list(leaves.values())) != pages[number]:
            return ApprovedPage(differs="page_changed")
        if any(row.channel != channel for row in rows):
            return ApprovedPage(differs="wrong_channel")
        return ApprovedPage(leaves=leaves)
