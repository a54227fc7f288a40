"""Whether a signed decision holds: judged on receipt, and again for every micro-batch, from what was signed."""

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError, SettingsError
from tellfirst.signing.audience import page_digest, root
from tellfirst.signing.decisions import AcceptedDecision, check
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.registry import Registry
from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.recipients import Recipients


class RegistryFile:
    """Reads the approver registry again whenever its file changes, so that a revocation needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._registry: Registry | None = None

    def current(self) -> Registry:
        """Returns the registry as deployed now; raises SettingsError when it cannot be read."""
        stamp = self._path.stat() if self._path.exists() else None
        seen = None if stamp is None else (stamp.st_mtime_ns, stamp.st_size)
        if self._registry is None or seen is None or seen != self._seen:
            self._registry, self._seen = Registry.load(self._path), seen
        return self._registry


class Approvals:
    """Judges decisions from the stored envelope, the registry as it is now, and the very rows of the page."""

    def __init__(
        self, *, decisions: Decisions, recipients: Recipients, registry: RegistryFile, environment: str
    ) -> None:
        self._decisions, self._recipients = decisions, recipients
        self._registry, self._environment = registry, environment

    def judge(
        self, envelope: DecisionEnvelope, revision: RevisionRecord, *, received_at: datetime, now: datetime
    ) -> AcceptedDecision:
        """Returns the decision if it holds for this revision; raises DecisionRefusedError with its code if not."""
        if (revision.proposal.outreach, revision.proposal.revision) != (revision.outreach, revision.number):
            # Rows copied under another name would bring their approval along.
            raise DecisionRefusedError("wrong_outreach", "what is kept here was proposed for another outreach")
        return check(
            envelope,
            revision.proposal,
            revision.plan.approvers,
            self._registry.current(),
            self._environment,
            received_at=received_at,
            now=now,
        )

    def still_good(self, record: DecisionRecord, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while a stored approval holds, else the code of what is wrong with it."""
        try:
            envelope = DecisionEnvelope.model_validate(record.envelope)
            accepted = self.judge(envelope, revision, received_at=record.received_at, now=now)
        except ValidationError:
            return "malformed"
        except SettingsError:
            return "no_registry"
        except DecisionRefusedError as refusal:
            return refusal.code
        return "" if accepted.decision == "approve" else "not_approved"

    def holds(self, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while an approval of this revision holds, else the code of what is wrong."""
        record = self._decisions.approval(revision.outreach, revision.number)
        return "not_approved" if record is None else self.still_good(record, revision, now=now)

    def page_differs(self, revision: RevisionRecord, number: int) -> str:
        """Returns an empty text when the page is the one that the signed audience root covers, else what differs."""
        rows = self._recipients.page(revision.outreach, revision.number, number)
        pages = self._recipients.page_digests(revision.outreach, revision.number)
        if root(pages) != revision.proposal.audience_root:
            return "audience_changed"
        if number >= len(pages) or page_digest([leaf_of(r, r.content_digest) for r in rows]) != pages[number]:
            return "page_changed"
        return ""
