"""Whether a matter is decided: one judge for permits, library changes, exceptions and whatever else people sign."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from activities.approvals import STATUS, RegistryFile
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.errors import DecisionRefusedError, SettingsError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import AcceptedDecision, check, holding
from tellfirst.signing.kinds import LibraryChange
from tellfirst.signing.rules import library_rule
from tellfirst.store.decisions import DecisionRecord, Decisions, Effect, came_before
from tellfirst.store.matters import MatterRecord, Matters


class MatterApprovals:
    """Judges decisions about matters from the stored envelope and the registry as it is now."""

    def __init__(self, *, decisions: Decisions, matters: Matters, registry: RegistryFile, environment: str) -> None:
        self._decisions, self._matters = decisions, matters
        self._registry, self._environment = registry, environment

    def receive(
        self,
        about: str,
        envelope: object,
        rule: ApprovalRule,
        now: datetime,
        *,
        overtaken: str = "",
        effect: Effect | None = None,
    ) -> DecisionAnswer:
        """Judges a decision as it came, keeps it whether accepted or refused, and answers what became of it.

        `overtaken` says why the matter can no longer be decided as it was proposed, `effect` is what its approval
        brings about.
        """
        try:
            given = DecisionEnvelope.model_validate(envelope)
        except ValidationError:
            # What could not be parsed is not kept: it may hold anything.
            return self._refuse(_record(about, None, now), "malformed", "the message is not a signed decision")
        record = _record(about, given, now)
        matter = self._matters.get(about)
        if matter is None:
            return self._refuse(record, "not_ready", "nothing of that name was proposed")
        if matter.proposal.about != about:
            return self._refuse(record, "wrong_outreach", "what is kept under that name is about something else")
        if overtaken:
            return self._refuse(record, "stale_content", overtaken)
        try:
            decision = self._judge(given, matter, rule, now)
        except DecisionRefusedError as refusal:
            return self._refuse(record, refusal.code, str(refusal))
        except SettingsError as error:
            return self._refuse(record, "no_registry", str(error))
        record = record.model_copy(
            update={
                "decision": decision.decision,
                "approver": decision.approver,
                "fingerprint": decision.fingerprint,
                "accepted": True,
            }
        )

        def good(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
            places, _, _ = self._holding(records, matter, rule, now)
            return [records[place] for place in places]

        stands = self._decisions.accept(
            record, status=STATUS[decision.decision], needed=rule.needed, good=good, effect=effect
        )
        if stands.stale:
            return _answer(record, code="stale_content", message="what it was about is no longer so")
        if not stands.taken:
            return _answer(record, code="already_decided", message=f"it is already {stands.status}")
        answer = _answer(record, accepted=True, message=decision.reason, status=stands.status)
        return answer.model_copy(update={"approvals": stands.approvals, "needed": rule.needed})

    def holds(self, matter: MatterRecord, rule: ApprovalRule, now: datetime) -> str:
        """Returns an empty text while enough approvals of a matter hold, else the code of what is wrong.

        `matter` is the very record that the caller acts on: read again, it could be another.
        """
        if matter.proposal.about != matter.about:
            return "wrong_outreach"  # a row copied under another name brings its decisions along
        if matter.status != "approved":
            return "not_approved" if matter.status == "pending" else matter.status
        try:
            places, _, refusal = self._holding(self._decisions.approvals(matter.about), matter, rule, now)
        except SettingsError:
            return "no_registry"
        return "" if len(places) >= rule.needed else refusal or "not_approved"

    def were_let(self, about: str) -> list[LibraryChange]:
        """Returns the changes of one version that were approved, each as its signers bound it.

        Each is judged as it stood when its last approval came: what was withdrawn later, or signed with a key that was
        revoked from a later instant on, was let all the same.
        """
        signed: dict[LibraryChange, list[DecisionRecord]] = {}
        for record in self._decisions.received(about):
            document = (record.envelope or {}).get("document")
            if record.accepted and record.decision == "approve" and isinstance(document, dict):
                bound = {name: document[name] for name in LibraryChange.model_fields if name in document}
                with suppress(ValidationError):
                    signed.setdefault(LibraryChange.model_validate(bound), []).append(record)
        registry, let = self._registry.current(), []
        for change, records in signed.items():
            rule, then = library_rule(change), records[-1].received_at
            places, _, _ = holding(records, change, rule, registry, self._environment, then)
            if change.about == about and len(places) >= rule.needed:
                let.append(change)
        return let

    def _judge(
        self, envelope: DecisionEnvelope, matter: MatterRecord, rule: ApprovalRule, now: datetime
    ) -> AcceptedDecision:
        records = came_before(self._decisions.approvals(matter.about), envelope.model_dump(mode="json"))
        _, good, _ = self._holding(records, matter, rule, now)
        return check(
            envelope,
            matter.proposal,
            rule,
            self._registry.current(),
            self._environment,
            received_at=now,
            now=now,
            first=good[0] if 0 < len(good) < rule.needed else None,
        )

    def _holding(
        self, records: Sequence[DecisionRecord], matter: MatterRecord, rule: ApprovalRule, now: datetime
    ) -> tuple[list[int], list[AcceptedDecision], str]:
        return holding(records, matter.proposal, rule, self._registry.current(), self._environment, now)

    def _refuse(self, record: DecisionRecord, code: str, message: str) -> DecisionAnswer:
        self._decisions.refuse(record.model_copy(update={"code": code}))
        return _answer(record, code=code, message=message)


def _record(about: str, envelope: DecisionEnvelope | None, now: datetime) -> DecisionRecord:
    document = {} if envelope is None else envelope.document
    return DecisionRecord(
        about=about,
        decision=str(document.get("decision", ""))[:20],
        approver=str(document.get("approver", ""))[:200],
        fingerprint="",
        accepted=False,
        code="",
        envelope=None if envelope is None else envelope.model_dump(mode="json"),
        received_at=now,
    )


def _answer(
    record: DecisionRecord, *, accepted: bool = False, code: str = "", message: str = "", status: str = ""
) -> DecisionAnswer:
    return DecisionAnswer(
        accepted=accepted,
        decision=record.decision,
        approver=record.approver,
        code=code,
        message=message[:500],
        status=status,
    )
