from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import AcceptedDecision, check
from tellfirst.signing.documents import canonical, digest
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.kinds import Proposal
from tellfirst.signing.registry import Registry
from tests.signing.make import NOON, Signer, armour, blob, ed25519, envelope, proposal, security_key
from tests.signing.test_documents import changed
from tests.signing.test_registry import key, person

ANA, BEN, STRANGER = ed25519(), ed25519(), ed25519()
RULE = ApprovalRule(roles=("support-lead",))
SECOND = timedelta(seconds=1)
KEY_FROM = datetime(2026, 1, 1, tzinfo=UTC)
KEY_UNTIL = NOON + timedelta(hours=1)
VALIDITY = f"valid_from = {KEY_FROM.isoformat()}\nvalid_until = {KEY_UNTIL.isoformat()}"
REVOKED = NOON + timedelta(hours=6)


def registry(ana: str = "", ben_roles: str = "support-lead") -> Registry:
    ben = person("ben", key(BEN)).replace("support-lead", ben_roles)
    return Registry.parse(person("ana", key(ANA, ana)) + ben)


def accept(
    given: DecisionEnvelope,
    plan: Proposal | None = None,
    people: Registry | None = None,
    environment: str = "production",
    received_at: datetime = NOON,
    now: datetime | None = None,
) -> AcceptedDecision:
    return check(given, plan or proposal(), RULE, people or registry(), environment, received_at, now or received_at)


def code(given: DecisionEnvelope, **rest: object) -> str:
    with pytest.raises(DecisionRefusedError) as caught:
        accept(given, **rest)  # type: ignore[arg-type]
    return caught.value.code


def approval(signer: Signer = ANA, approver: str = "ana", issued_at: datetime = NOON) -> DecisionEnvelope:
    return envelope(signer, proposal().decide("approve", approver, issued_at))


@pytest.mark.parametrize("decision", ["approve", "reject", "request_changes"])
def test_a_decision_that_holds(decision: str) -> None:
    document = proposal().decide(decision, "ana", NOON, "read it all")  # type: ignore[arg-type]
    assert accept(envelope(ANA, document)) == AcceptedDecision(
        decision=decision,  # type: ignore[arg-type]
        approver="ana",
        fingerprint=SigningKey.parse(ANA.line).fingerprint,
        reason="read it all",
        valid_until=NOON + timedelta(days=2),
        document_digest=digest(document.document()),
        roles=("support-lead",),
    )


def test_it_still_holds_after_a_journey_as_json() -> None:
    given = approval()
    assert accept(DecisionEnvelope.model_validate_json(given.model_dump_json())) == accept(given)


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "2"},
        {"revision": 2.0},
        {"v": True},
        {"v": "1"},
        {"audience_count": -1},
        {"decide_by": "2026-03-01T16:00:00+00:00"},
        {"decision": "approved"},
        {"approver": None},
        {"steps": []},
        {"+15550100123 ana@example.com": "x"},
        {"reason": "x" * 1_001},
    ],
)
def test_a_document_that_is_not_exact_is_malformed(change: dict[str, object]) -> None:
    document = {**approval().document, **change}
    given = DecisionEnvelope(document=document, signature=approval().signature)
    with pytest.raises(DecisionRefusedError) as caught:
        accept(given)
    assert caught.value.code == "malformed"
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize("field", list(approval().document))
def test_a_document_that_leaves_something_out_is_malformed(field: str) -> None:
    document = {name: value for name, value in approval().document.items() if name != field}
    assert code(envelope(ANA, document)) == "malformed"


def test_coerced_values_are_malformed_even_when_signed() -> None:
    document = {**approval().document, "audience_count": "1234"}
    assert code(envelope(ANA, document)) == "malformed"


def test_a_signature_of_another_document_is_refused() -> None:
    reject = proposal().decide("reject", "ana", NOON).document()
    assert code(DecisionEnvelope(document=reject, signature=approval().signature)) == "bad_signature"


def test_a_signature_for_another_purpose_is_refused() -> None:
    document = approval().document
    signature = armour(blob(ANA, canonical(document), "git"))
    assert code(DecisionEnvelope(document=document, signature=signature)) == "wrong_namespace"


def test_a_signature_that_is_none_is_refused() -> None:
    assert code(DecisionEnvelope(document=approval().document, signature="yes")) == "malformed_signature"


def test_an_untouched_security_key_is_refused() -> None:
    for flags, expected in ((0, "no_user_presence"), (1, None)):
        signer = security_key(flags)
        people = Registry.parse(person("ana", key(signer)))
        if expected:
            assert code(approval(signer), people=people) == expected
        else:
            assert accept(approval(signer), people=people).approver == "ana"


def test_a_key_that_nobody_holds_is_refused() -> None:
    assert code(approval(STRANGER)) == "unknown_key"


def test_nobody_signs_for_another() -> None:
    assert code(approval(BEN, "ana")) == "wrong_person"
    assert code(approval(ANA, "*")) == "wrong_person"


@pytest.mark.parametrize(
    ("received_at", "expected"),
    [(KEY_FROM - SECOND, "key_not_yet_valid"), (KEY_FROM, ""), (KEY_UNTIL - SECOND, ""), (KEY_UNTIL, "key_expired")],
)
def test_the_validity_of_a_key_is_judged_at_receipt(received_at: datetime, expected: str) -> None:
    given, people = approval(issued_at=received_at), registry(VALIDITY)
    later = received_at + timedelta(hours=2)
    if expected:
        assert code(given, people=people, received_at=received_at, now=later) == expected
    else:
        assert accept(given, people=people, received_at=received_at, now=later)


def test_revocation_kills_at_once_and_later() -> None:
    people = registry(f"revoked = {REVOKED.isoformat()}")
    assert accept(approval(), people=people, now=REVOKED - SECOND)
    assert code(approval(), people=people, now=REVOKED) == "key_revoked"
    assert code(approval(), people=people, now=REVOKED + timedelta(days=1)) == "key_revoked"


def test_a_decision_for_another_environment_is_refused() -> None:
    assert code(approval(), environment="staging") == "wrong_environment"


def test_a_decision_for_another_outreach_is_refused() -> None:
    other = proposal().model_copy(update={"outreach": "outreach/late_delivery/2026-03-02/1"})
    assert code(approval(), plan=other) == "wrong_outreach"


@pytest.mark.parametrize(
    "field", [name for name in Proposal.model_fields if name not in ("v", "kind", "environment", "outreach")]
)
def test_a_decision_on_anything_else_is_stale(field: str) -> None:
    with pytest.raises(DecisionRefusedError, match=field) as caught:
        accept(envelope(ANA, changed(field)))
    assert caught.value.code == "stale_content"


def test_a_plan_of_another_environment_is_stale() -> None:
    assert code(approval(), plan=proposal().model_copy(update={"environment": "staging"})) == "stale_content"


def test_a_person_without_the_role_is_refused() -> None:
    assert accept(approval(BEN, "ben"))
    assert code(approval(BEN, "ben"), people=registry(ben_roles="agent")) == "not_an_approver"
    with pytest.raises(DecisionRefusedError):
        check(approval(), proposal(), ApprovalRule(roles=()), registry(), "production", NOON, NOON)


def test_the_deadline_is_judged_at_receipt() -> None:
    deadline = proposal().decide_by
    assert accept(approval(), received_at=deadline, now=deadline + timedelta(hours=1))
    assert code(approval(), received_at=deadline + SECOND) == "too_late"


def test_an_approval_expires_and_a_rejection_does_not() -> None:
    end = proposal().valid_until
    assert accept(approval(), now=end)
    assert code(approval(), now=end + SECOND) == "expired"
    assert accept(envelope(ANA, proposal().decide("reject", "ana", NOON)), now=end + SECOND).decision == "reject"


def test_a_decision_from_the_future_is_refused() -> None:
    assert accept(approval(issued_at=NOON + timedelta(minutes=5)))
    assert code(approval(issued_at=NOON + timedelta(minutes=5, seconds=1))) == "issued_in_future"


def test_refusals_come_in_their_order() -> None:
    """Each fault added on top of all later ones is the one that is named."""
    document = proposal().decide("approve", "ana", proposal().valid_until + timedelta(days=9)).document()
    late = proposal().valid_until + timedelta(days=1)
    people = registry(f"valid_until = {NOON.isoformat()}\nrevoked = {NOON.isoformat()}").people
    poor = [entry.model_copy(update={"roles": ()}) for entry in people]
    fresh = [entry.model_copy(update={"keys": registry().people[at].keys}) for at, entry in enumerate(poor)]
    rich = registry()
    dead, weak = Registry(people=tuple(poor)), Registry(people=tuple(fresh))
    other = {**document, "environment": "staging", "outreach": "outreach/x/y/1", "revision": 9}
    wrong = {**other, "approver": "ben"}
    unsigned = DecisionEnvelope(document={**wrong, "v": 3}, signature="no")
    assert code(unsigned, people=dead, received_at=late) == "malformed"
    assert (
        code(DecisionEnvelope(document=wrong, signature="no"), people=dead, received_at=late) == "malformed_signature"
    )
    assert code(envelope(STRANGER, wrong), people=dead, received_at=late) == "unknown_key"
    assert code(envelope(ANA, wrong), people=dead, received_at=late) == "wrong_person"
    assert code(envelope(ANA, other), people=dead, received_at=late) == "key_expired"
    assert code(envelope(ANA, other), people=dead, received_at=NOON - SECOND, now=late) == "key_revoked"
    assert code(envelope(ANA, other), people=weak, received_at=late) == "wrong_environment"
    other = {**other, "environment": "production"}
    assert code(envelope(ANA, other), people=weak, received_at=late) == "wrong_outreach"
    other = {**other, "outreach": proposal().outreach}
    assert code(envelope(ANA, other), people=weak, received_at=late) == "stale_content"
    assert code(envelope(ANA, document), people=weak, received_at=late) == "not_an_approver"
    assert code(envelope(ANA, document), people=rich, received_at=late) == "too_late"
    assert code(envelope(ANA, document), people=rich, now=late) == "expired"
    assert code(envelope(ANA, document), people=rich) == "issued_in_future"


def test_a_signature_is_bounded_on_the_wire() -> None:
    with pytest.raises(ValidationError):
        DecisionEnvelope(document={}, signature="x" * 8_193)
