"""Standing permits: opened like every matter, taken when a plan is frozen, and held against every micro-batch."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import ValidationError

from activities.library import LibraryGate
from activities.matter_life import MatterKind, OpenedMatter
from activities.matters import MatterApprovals
from activities.playbooks import PlannedPlaybooks
from tellfirst.contract import PermitProposal
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.promises import whole_seconds
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.documents import digest
from tellfirst.signing.kinds import Permit
from tellfirst.signing.permits import oversteps, permit_rule, uncovered
from tellfirst.store.matters import APPROVED, REVOKED, MatterRecord, Matters
from tellfirst.store.outreaches import Outreaches, RevisionRecord
from tellfirst.store.permits import Permits, PermitUse
from tellfirst.store.recipients import Recipients

REMIND_AFTER = timedelta(days=1)
ESCALATE_AFTER = timedelta(days=3)
EXPIRE_AFTER = timedelta(days=7)


class PermitKind(MatterKind):
    """Opens permits of the playbooks as they are held here, and says who lets them."""

    def __init__(
        self,
        *,
        matters: Matters,
        outreaches: Outreaches,
        library: Mapping[str, LoadedPlaybook],
        gate: LibraryGate,
        environment: str,
    ) -> None:
        self._matters, self._outreaches, self._library = matters, outreaches, library
        self._gate, self._environment = gate, environment
        self._read = lru_cache(maxsize=64)(parse)

    def open(self, about: str, given: object, now: datetime) -> OpenedMatter:
        """Opens a permit for the version that is held here, within what its playbook lets be permitted."""
        try:
            proposal = PermitProposal.model_validate(given)
        except ValidationError:
            return _refused("the proposal is malformed")
        known = self._matters.get(about)
        if known is not None:
            return self._opened(known)
        loaded = self._library.get(proposal.playbook)
        standing = None if loaded is None else loaded.playbook.approval.standing
        if loaded is None or standing is None:
            return _refused(f"no playbook '{proposal.playbook}' lets anything be permitted in advance")
        if refusal := self._gate.refusal(loaded.playbook, loaded.version, now=now):
            return _refused(f"this version of the playbook may not send: {refusal}")
        decide_by = whole_seconds(now + EXPIRE_AFTER)
        longest = whole_seconds(now + standing.longest)
        until = longest if proposal.valid_until is None else whole_seconds(proposal.valid_until)
        permit = Permit(
            environment=self._environment,
            decide_by=min(decide_by, until),
            valid_until=until,
            nonce=secrets.token_hex(16),
            permit=about.partition("/")[2],
            playbook=proposal.playbook,
            playbook_version=loaded.version,
            channels=loaded.playbook.channels,
            per_outreach=proposal.per_outreach or standing.per_outreach,
            in_all=proposal.in_all or standing.in_all,
            cost_micros=proposal.cost_micros,
            currency=proposal.currency,
            proposer=proposal.proposer,
            editor=self._gate.editor(proposal.playbook, loaded.version, now=now),
        )
        if permit.about != about or not permit.permit:
            return _refused("the workflow's id is not permit/{id}")
        if why := oversteps(permit, loaded.playbook):
            return _refused(why)
        if not now < permit.valid_until <= longest:
            return _refused(f"'{proposal.playbook}' may be permitted until {longest:%d %b %Y, %H:%M} UTC at the latest")
        self._outreaches.keep_playbook(loaded.version, loaded.playbook.id, loaded.text, now=now)
        return self._opened(self._matters.open(permit, proposal.proposer, now))

    def rule(self, matter: MatterRecord) -> ApprovalRule:
        """Returns the roles one level up."""
        permit = _permit_of(matter)
        loaded = self._kept(permit)
        return ApprovalRule(roles=()) if loaded is None else permit_rule(loaded.playbook, permit)

    def overtaken(self, matter: MatterRecord, now: datetime) -> str:
        """Returns why the permit says anything else than its playbook lets be permitted."""
        loaded = self._kept(_permit_of(matter))
        if loaded is None:
            return "what is kept of its playbook is not the version that it is for; propose it again"
        return oversteps(_permit_of(matter), loaded.playbook)

    def _opened(self, record: MatterRecord) -> OpenedMatter:
        permit, loaded = _permit_of(record), self._kept(_permit_of(record))
        return OpenedMatter(
            status=record.status,
            question=f"outreaches of '{permit.playbook}' are permitted in advance (permit {permit.permit})",
            otherwise="each of them waits for its own decision",
            how=f"run `tellfirst permits show {permit.permit}` and then `tellfirst permits approve` or "
            "`tellfirst permits reject`",
            playbook=permit.playbook,
            owner=loaded.playbook.owners.owner if loaded else "",
            roles=self.rule(record).roles,
            ladder=loaded.playbook.rungs if loaded else (),
            remind_at=record.opened_at + REMIND_AFTER,
            escalate_at=record.opened_at + ESCALATE_AFTER,
            decide_by=permit.decide_by,
        )

    def _kept(self, permit: Permit) -> LoadedPlaybook | None:
        text = self._outreaches.playbook_text(permit.playbook_version)
        loaded = None if text is None else self._read(text, "the permitted playbook")
        return loaded if loaded is not None and loaded.version == permit.playbook_version else None


class StandingPermits:
    """Says which plans need no decision of their own, because one was given in advance."""

    def __init__(
        self,
        *,
        permits: Permits,
        matters: Matters,
        recipients: Recipients,
        playbooks: PlannedPlaybooks,
        approvals: MatterApprovals,
    ) -> None:
        self._permits, self._matters, self._recipients = permits, matters, recipients
        self._playbooks, self._approvals = playbooks, approvals

    def use(self, revision: RevisionRecord, *, now: datetime) -> PermitUse | None:
        """Takes what a frozen revision needs of the first permit that covers it.

        Returns that, or why none does, or None where nothing of the playbook is permitted; asked again, the same.
        """
        known = self._permits.of(revision.outreach, revision.number)
        if known is not None or revision.status != "pending":
            return known
        of_playbook = [
            matter
            for matter in self._matters.of_kind("permit")
            if isinstance(matter.proposal, Permit)
            and matter.proposal.playbook == revision.proposal.playbook
            and matter.status in (APPROVED, REVOKED)
        ]
        use = None
        for matter in of_playbook:
            use = self._take(matter, revision, now)
            if not use.reason:
                return use
        return None if use is None else self._permits.leave(use)

    def outside(self, revision: RevisionRecord, *, now: datetime) -> str:
        """Returns an empty text while the permit that a revision took from is in force and covers it, else a code."""
        use = self._permits.of(revision.outreach, revision.number)
        if use is None or use.reason:
            return "not_approved"
        matter = self._matters.get(use.permit)
        if matter is None or not isinstance(matter.proposal, Permit):
            return "permit:not_approved"
        permit, playbook = matter.proposal, self._playbooks.of(revision)
        if code := self._approvals.holds(matter, permit_rule(playbook, permit), now):
            return f"permit:{code}"
        if use.digest != digest(revision.proposal.document()):
            return "permit:stale_content"
        used = self._permits.used(use.permit, use)
        rows = self._recipients.verdicts(revision.outreach, revision.number).get(ELIGIBLE, 0)
        if not rows == use.recipients == revision.proposal.audience_count:
            return "permit:audience_changed"
        outside = oversteps(permit, playbook) or uncovered(permit, revision.proposal, playbook, used, now)
        return "permit:not_covered" if outside else ""

    def _take(self, matter: MatterRecord, revision: RevisionRecord, now: datetime) -> PermitUse:
        permit, proposal, playbook = _permit_of(matter), revision.proposal, self._playbooks.of(revision)
        use = PermitUse(
            outreach=revision.outreach,
            revision=revision.number,
            permit=matter.about,
            recipients=proposal.audience_count,
            cost_micros=proposal.cost_micros,
            digest=digest(proposal.document()),
            at=now,
        )
        if permit.playbook_version == proposal.playbook_version and (
            code := self._approvals.holds(matter, permit_rule(playbook, permit), now)
        ):
            said = {REVOKED: "was revoked", "expired": "has ended"}.get(code, f"does not hold ({code})")
            return use.model_copy(update={"reason": f"permit {permit.permit} {said}"})
        return self._permits.take(use, lambda used: uncovered(permit, proposal, playbook, used, now))


def _permit_of(matter: MatterRecord) -> Permit:
    assert isinstance(matter.proposal, Permit)  # noqa: S101 - by its name
    return matter.proposal


def _refused(why: str) -> OpenedMatter:
    return OpenedMatter(status="refused", reason=why)
