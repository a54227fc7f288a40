"""Receiving decisions: every one is judged and recorded, accepted and refused alike."""

from pydantic import ValidationError
from temporalio import activity

from activities.approvals import STATUS, Approvals
from activities.canary import ContinueGate
from activities.clock import AttemptClock
from activities.failures import told_plainly
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.domain.base import Frozen
from tellfirst.errors import DecisionRefusedError, SettingsError
from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.outreaches import Outreaches


class ReceivedDecision(Frozen):
    """Is a decision as it came in, `raw` being its JSON; None when it was no JSON at all."""

    outreach: str
    raw: object = None


class DecisionActivities:
    """Judges and records decisions."""

    def __init__(
        self, *, decisions: Decisions, outreaches: Outreaches, approvals: Approvals, continues: ContinueGate
    ) -> None:
        self._decisions, self._outreaches = decisions, outreaches
        self._approvals, self._continues = approvals, continues

    @activity.defn(no_thread_cancel_exception=True)
    def receive_decision(self, received: ReceivedDecision) -> DecisionAnswer:
        """Answers whether the decision was accepted, and why not."""
        with told_plainly():
            now = AttemptClock().now()
            latest = self._outreaches.latest_revision(received.outreach)
            record = DecisionRecord(
                about=received.outreach,
                revision=latest,
                decision="",
                approver="",
                fingerprint="",
                accepted=False,
                code="malformed",
                envelope=None,
                received_at=now,
            )
            try:
                envelope = DecisionEnvelope.model_validate(received.raw)
            except ValidationError:
                # What could not be parsed is not kept: it may hold anything.
                return self._refuse(record, "the message is not a signed decision")
            number = envelope.document.get("revision")
            named = number if isinstance(number, int) and 0 < number <= latest else latest
            record = record.model_copy(
                update={
                    "revision": named,
                    "decision": str(envelope.document.get("decision", ""))[:20],
                    "approver": str(envelope.document.get("approver", ""))[:200],
                    "envelope": envelope.model_dump(mode="json"),
                }
            )
            revision = self._outreaches.revision(received.outreach, named)
            if revision is not None and envelope.document.get("kind") == "continue":
                return self._continues.receive(revision, envelope, now)
            if revision is None:
                return self._refuse(
                    record.model_copy(update={"code": "not_ready"}), "nothing is planned yet that could be decided"
                )
            if revision.status == "replaced":
                return self._refuse(
                    record.model_copy(update={"code": "stale_content"}),
                    f"revision {named} was replaced by revision {latest}; look at that one",
                )
            try:
                decision = self._approvals.judge(envelope, revision, received_at=now, now=now)
            except DecisionRefusedError as refusal:
                return self._refuse(record.model_copy(update={"code": refusal.code}), str(refusal))
            except SettingsError as error:
                return self._refuse(record.model_copy(update={"code": "no_registry"}), str(error))
            if revision.status == "approved" and not self._approvals.outside_permit(revision, now=now):
                record = record.model_copy(update={"code": "already_decided"})
                return self._refuse(record, "it was permitted in advance; `tellfirst abort` ends it")
            record = record.model_copy(
                update={
                    "decision": decision.decision,
                    "approver": decision.approver,
                    "fingerprint": decision.fingerprint,
                    "accepted": True,
                    "code": "",
                }
            )
            needed = self._approvals.rule(revision).needed
            stands = self._decisions.accept(
                record,
                status=STATUS[decision.decision],
                needed=needed,
                good=self._approvals.good(revision, now=now),
            )
            if not stands.taken:
                message = f"it is already {stands.status}"
                # Whoever decided first may have been recorded, and then lost with the worker that had their word.
                return _answer(record, accepted=False, code="already_decided", message=message, status=stands.status)
            if decision.decision == "reject":
                self._continues.reject(revision, by=decision.approver, now=now)
            answer = _answer(record, accepted=True, code="", message=decision.reason, status=stands.status)
            return answer.model_copy(update={"approvals": stands.approvals, "needed": needed})

    def _refuse(self, record: DecisionRecord, message: str) -> DecisionAnswer:
        self._decisions.refuse(record)
        return _answer(record, accepted=False, code=record.code, message=message)


def _answer(record: DecisionRecord, *, accepted: bool, code: str, message: str, status: str = "") -> DecisionAnswer:
    return DecisionAnswer(
        accepted=accepted,
        decision=record.decision,
        approver=record.approver,
        revision=record.revision,
        code=code,
        message=message[:500],
        status=status,
    )
