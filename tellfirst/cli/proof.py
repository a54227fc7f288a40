"""The proof: every message that may have left, held against its decision, its audience, its customer's word."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tellfirst.channels.outbox import OutboxMessage, read_outbox
from tellfirst.cli.addendum_proof import told_before
from tellfirst.cli.exception_proof import ANSWER, answer_authorised
from tellfirst.cli.output import counted, when
from tellfirst.cli.permit_proof import permitted
from tellfirst.cli.provider_log import CHANNEL, ProviderLog
from tellfirst.cli.rest_proof import continued
from tellfirst.cli.survey_proof import QUESTION, question_authorised
from tellfirst.cli.wiring import Installation
from tellfirst.contract import DecisionEnvelope
from tellfirst.domain.message import Rendered, SendState
from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.loader import parse
from tellfirst.policy.consent import may_contact
from tellfirst.policy.verdict import Consent
from tellfirst.signing.audience import content_digest, page_digest, root
from tellfirst.signing.decisions import CLOCK_SKEW, holding
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.registry import Registry
from tellfirst.signing.rules import rule_for
from tellfirst.store.audit import ACCEPTED, MAY_HAVE_LEFT, AuditedSend
from tellfirst.store.controls import differences as switched
from tellfirst.store.decisions import DecisionRecord, differences
from tellfirst.store.erasure import unexplained
from tellfirst.store.exceptions import differences as excepted
from tellfirst.store.matters import rewritten
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.permits import differences as overdrawn

OLD = timedelta(hours=1)
"""An intent without an answer for so long is as good as unknown."""
EXCUSED = frozenset(
    {"opted_out", "held", "address_gone", "address_changed", "condition_cleared", "condition_still_true"}
)
"""Why a promised update may be withheld from a customer without breaking the promise."""
CHUNK = 500


class Proof(BaseModel):
    """Is what was found; `promises_broken` says each failure in a sentence and is empty when all is well."""

    outreaches: int = 0
    sends: int = 0
    accepted: int = 0
    lost: int = 0
    duplicate: int = 0
    unauthorised: int = 0
    after_optout: int = 0
    unknown_held: int = 0
    audit_ok: bool = True
    promises_broken: list[str] = []


class Prover:
    """Reads everything once, a page of the audience at a time."""

    def __init__(
        self,
        here: Installation,
        registry: Callable[[], Registry],
        *,
        now: datetime,
        log: ProviderLog | None,
        step: Callable[[int], None],
        anchors: Sequence[Path] = (),
    ) -> None:
        self._here, self._registry, self._now, self._log, self._step = here, registry, now, log, step
        self._anchors = anchors
        self._proof = Proof()
        self._late: list[str] = []

    def prove(self) -> Proof:
        """Returns what was found.

        `audit_ok` says that every accepted decision can still be read, and that the audit log is as it was written:
        its chain, its anchors, and the decisions, matters, switches and erasures it tells of.
        """
        proof, audit = self._proof, self._here.audit
        states = audit.states()
        proof.outreaches, proof.sends = audit.outreaches(), sum(states.values())
        proof.accepted = sum(states.get(state, 0) for state in ACCEPTED)
        proof.unknown_held = states.get(SendState.UNKNOWN, 0) + audit.old_intents(self._now - OLD)
        seen = 0
        for outreach, number in audit.revisions():
            revision = self._here.outreaches.revision(outreach, number)
            if revision is not None:
                seen += self._revision(revision)
        # A message to somebody on no page of a frozen revision was approved by nobody.
        proof.unauthorised += sum(states.get(state, 0) for state in MAY_HAVE_LEFT) - seen
        proof.lost += audit.left_behind()
        self._outbox()
        if self._log is not None:
            proof.duplicate += self._log.duplicate
            proof.unauthorised += self._log.unauthorised
            proof.lost += self._log.claimed_twice
        faults = self._here.chain.faults(
            differences, rewritten, overdrawn, excepted, switched, unexplained, copies=self._anchors
        )
        proof.promises_broken = [*_sentences(proof), *faults, *self._late]
        proof.audit_ok &= not faults
        return proof

    # -- what was approved

    def _revision(self, revision: RevisionRecord) -> int:
        received = self._here.decisions.received(revision.outreach)
        approvals = [d for d in received if d.accepted and d.decision == "approve" and d.revision == revision.number]
        self._proof.audit_ok &= all(_readable(d) for d in received if d.accepted)
        pages = self._here.recipients.page_digests(revision.outreach, revision.number)
        root_holds = root(pages) == revision.proposal.audience_root
        seen, broken = 0, dict.fromkeys((step.id for step in revision.plan.updates), 0)
        for number, digest in enumerate(pages):
            sends = self._here.audit.sends_on(revision.outreach, revision.number, number)
            left = [send for send in sends if send.state in MAY_HAVE_LEFT]
            seen += len(left)
            if left:
                rows = self._here.recipients.page(revision.outreach, revision.number, number)
                page_holds = root_holds and page_digest([leaf_of(r, r.content_digest) for r in rows]) == digest
                self._left(left, revision, approvals, page_holds=page_holds, number=number)
                for step in revision.plan.updates:
                    broken[step.id] += self._unkept(sends, revision, step)
            self._step(1)
        for step in revision.plan.updates:
            if broken[step.id]:
                self._late.append(
                    f"{revision.outreach}: {counted(broken[step.id], 'customer')} were promised news by "
                    f"{when(step.due)} and got none in time"
                )
        return seen

    def _left(
        self,
        left: Sequence[AuditedSend],
        revision: RevisionRecord,
        approvals: Sequence[DecisionRecord],
        *,
        page_holds: bool,
        number: int,
    ) -> None:
        proof, purpose = self._proof, revision.proposal.purpose
        consents = self._here.audit.consents(sorted({send.customer for send in left}))
        approved: dict[datetime, bool] = {}
        let_go: dict[datetime, bool] = {}
        behind = 0 < revision.proposal.canary <= number
        theirs = told_before(self._here, revision, left)
        for send in left:
            at = send.intent_at
            answers, asks = send.step.startswith(ANSWER), send.step.startswith(QUESTION)
            if at is not None and at not in approved:
                approved[at] = self._approved(approvals, revision, at)
                let_go[at] = not behind or self._continued(revision, at)
            authorised = (
                page_holds
                and not answers
                and not asks
                and at is not None
                and approved[at]
                and (let_go[at] or send.step != revision.plan.initial.id)
                and send.customer in theirs
                and send.nonce == revision.proposal.nonce
                and (send.outreach, send.revision, send.page) == (revision.outreach, revision.number, number)
                and (send.step != revision.plan.initial.id or send.body_digest in ("", send.approved_text))
            )
            if answers:
                authorised = answer_authorised(self._here, self._registry, send)
            if asks:
                authorised = question_authorised(self._here, self._registry, send)
            proof.unauthorised += send.misdirected or not authorised
            if at is not None and _opted_out(consents.get(send.customer, ()), send.channel, purpose, at):
                proof.after_optout += 1
            if send.state in ACCEPTED and not self._arrived(send):
                proof.lost += 1

    def _approved(self, records: Sequence[DecisionRecord], revision: RevisionRecord, at: datetime) -> bool:
        # Received and intended are read from two clocks.
        in_time = [record for record in records if record.received_at <= at + CLOCK_SKEW]
        loaded = parse(revision.playbook_text, "the planned playbook")
        rule, environment = rule_for(loaded.playbook, revision.proposal), self._here.settings.environment
        places, _, _ = holding(in_time, revision.proposal, rule, self._registry(), environment, at)
        agreed = len(places) >= rule.needed or permitted(self._here, self._registry, revision, loaded, at)
        return agreed and loaded.version == revision.proposal.playbook_version

    def _continued(self, revision: RevisionRecord, at: datetime) -> bool:
        loaded = parse(revision.playbook_text, "the planned playbook")
        return continued(self._here, self._registry, revision, loaded, at)

    # -- what arrived

    def _arrived(self, send: AuditedSend) -> bool:
        if send.adapter == "outbox":
            return (self._here.settings.outbox / f"{send.id}.json").exists()
        if self._log is not None and send.channel == CHANNEL:
            return self._log.has(send.provider_id)
        return True

    def _outbox(self) -> None:
        batch: list[OutboxMessage] = []
        for message in read_outbox(self._here.settings.outbox):
            batch.append(message)
            if len(batch) == CHUNK:
                self._outbox_batch(batch)
                batch = []
        self._outbox_batch(batch)

    def _outbox_batch(self, batch: Sequence[OutboxMessage]) -> None:
        sends = self._here.audit.sends([message.send_id for message in batch])
        for message in batch:
            send = sends.get(message.send_id)
            # A row that is planned again was in flight when its worker died; it will not write a second file.
            explained = send is not None and (send.state in MAY_HAVE_LEFT or send.attempts > 0)
            if send is None or not explained or send.channel != message.channel:
                self._proof.duplicate += 1
            elif send.body_digest:
                said = content_digest(Rendered(subject=message.subject, body=message.body))
                self._proof.unauthorised += said != send.body_digest

    # -- what was promised

    def _unkept(self, sends: Sequence[AuditedSend], revision: RevisionRecord, step: PlannedStep) -> int:
        """Counts who was told that news would come by `step` and neither got any in time nor is excused."""
        due = step.due
        if due is None or due >= self._now:
            return 0
        resolved = revision.plan.resolved
        answers = {step.id, resolved.id if resolved else step.id}
        told = {
            s.recipient
            for s in sends
            if s.step == revision.plan.initial.id and s.state in (SendState.ACCEPTED, SendState.DELIVERED)
        }

        def keeps(s: AuditedSend) -> bool:
            in_time = s.state in MAY_HAVE_LEFT and s.intent_at is not None and s.intent_at <= due
            excused = s.step == step.id and s.state is SendState.WITHHELD and s.reason in EXCUSED
            return s.step in answers and (in_time or excused)

        missing = told - {s.recipient for s in sends if keeps(s)}
        if missing and revision.plan.has_alternates:  # one that was lost here may have left by another channel
            elsewhere = self._here.audit.sends_to_recipients(sorted(missing))
            missing -= {s.recipient for s in elsewhere if keeps(s)}
        return len(missing)


def _opted_out(statements: Sequence[Consent], channel: str, purpose: str, at: datetime) -> bool:
    """Says whether the customer's last word before `at` was no; silence is not a word."""
    before = [s for s in statements if s.at < at]
    return any(not s.allowed for s in before) and not may_contact(before, channel, purpose)


def _readable(record: DecisionRecord) -> bool:
    try:
        DecisionEnvelope.model_validate(record.envelope)
    except ValidationError:
        return False
    return True


def _sentences(proof: Proof) -> list[str]:
    told = [
        (proof.lost, "message", "was recorded as sent or due to be sent and cannot be found"),
        (proof.duplicate, "message", "left without a send of its own"),
        (proof.unauthorised, "message", "left without a decision that covers it"),
        (proof.after_optout, "message", "left after its customer had opted out"),
    ]
    found = [
        f"{counted(count, noun)} {words.replace('was', 'were') if count > 1 else words}"
        for count, noun, words in told
        if count
    ]
    return [*found, *([] if proof.audit_ok else ["an accepted decision can no longer be read"])]
