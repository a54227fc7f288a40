"""Every kind of decision: signed, read back, and never taken for another."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import AcceptedDecision, check, holding
from tellfirst.signing.kinds import (
    DECISIONS,
    PROPOSALS,
    Bound,
    Continue,
    Grant,
    LibraryChange,
    Permit,
    Resume,
    decide,
    differences,
)
from tellfirst.signing.registry import Registry
from tests.signing.make import NOON, Signer, ed25519, envelope, proposal
from tests.signing.test_registry import key, person

ANA, BEN = ed25519(), ed25519()
REGISTRY = Registry.parse(person("ana", key(ANA)) + person("ben", key(BEN)))
RULE = ApprovalRule(roles=("support-lead",))
BOUND = {
    "environment": "production",
    "decide_by": NOON + timedelta(hours=4),
    "valid_until": NOON + timedelta(days=2),
    "nonce": "n-0001",
}
KINDS: dict[str, Bound] = {
    "outreach": proposal(),
    "permit": Permit(
        **BOUND, permit="p-1", playbook="outage", playbook_version="5f", channels=("sms",), per_outreach=50, in_all=500
    ),
    "continue": Continue(**BOUND, outreach="outreach/a/b/1", revision=1, audience_root="dd", sent=50, rest=950),
    "resume": Resume(**BOUND, pause="n-9", paused_by="ana", paused_at=NOON),
    "library": LibraryChange(**BOUND, playbook="outage", playbook_version="5f", data_changed=False, proposer="cleo"),
    "exception": Grant(
        **BOUND,
        request="x-1",
        customer="c-1",
        exception="goodwill_credit",
        amount_minor=500,
        currency="EUR",
        answer_digest="aa",
        requester="dora",
    ),
}


def signed(bound: Bound, signer: Signer = ANA, approver: str = "ana", prior: str = "") -> DecisionEnvelope:
    return envelope(signer, decide(bound, "approve", approver, NOON, prior=prior).document())


def accept(given: DecisionEnvelope, bound: Bound, **more: object) -> AcceptedDecision:
    told: dict[str, object] = {"rule": RULE, "first": None, **more}
    return check(given, bound, told["rule"], REGISTRY, "production", NOON, NOON, told["first"])  # type: ignore[arg-type]


def code(given: DecisionEnvelope, bound: Bound, **more: object) -> str:
    with pytest.raises(DecisionRefusedError) as caught:
        accept(given, bound, **more)
    return caught.value.code


def test_each_kind_is_tried_here() -> None:
    assert set(KINDS) == set(PROPOSALS) == set(DECISIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_signed_read_and_accepted(kind: str) -> None:
    decision = decide(KINDS[kind], "approve", "ana", NOON)
    assert differences(KINDS[kind], decision) == []
    assert decision.about == KINDS[kind].about
    assert accept(signed(KINDS[kind]), KINDS[kind]).decision == "approve"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_one_kind_is_never_taken_for_another(kind: str, other: str) -> None:
    if kind != other:
        assert code(signed(KINDS[kind]), KINDS[other]) == "wrong_kind"


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_any_field_is_stale(kind: str) -> None:
    bound = KINDS[kind]
    named = {"outreach", "revision", "permit", "pause", "playbook", "playbook_version", "request", "v", "kind"}
    for name in set(type(bound).model_fields) - named - {"environment"}:
        value = getattr(bound, name)
        changed = {int: 7, bool: True, str: "EUR" if name == "currency" and value != "EUR" else "USD"}.get(
            type(value), value
        )
        if isinstance(value, dict | tuple) or changed == value:
            continue
        changed = value + timedelta(seconds=1) if hasattr(value, "year") else changed
        assert code(signed(bound.model_copy(update={name: changed})), bound) == "stale_content", name


def test_who_proposed_it_does_not_count() -> None:
    rule = ApprovalRule(roles=RULE.roles, excluded=frozenset({"ana"}))
    assert code(signed(KINDS["library"]), KINDS["library"], rule=rule) == "own_proposal"


def test_two_people_sign_and_the_second_names_the_first() -> None:
    bound = KINDS["resume"]
    first = accept(signed(bound), bound)
    second = signed(bound, BEN, "ben", prior=first.document_digest)
    assert accept(second, bound, first=first).prior == first.document_digest
    assert code(signed(bound, ANA, "ana", prior=first.document_digest), bound, first=first) == "same_person"
    assert code(signed(bound, BEN, "ben"), bound, first=first) == "wrong_prior"
    assert code(signed(bound, BEN, "ben", prior="00" * 32), bound, first=first) == "wrong_prior"
    assert code(second, bound) == "wrong_prior", "it holds beside its first alone"


@pytest.mark.parametrize("answers", [(), ("",), (" \t",), ("yes", "and more")])
def test_every_point_of_a_checklist_is_answered_in_words(answers: tuple[str, ...]) -> None:
    change = KINDS["library"].model_copy(update={"checklist": ("tone: It was read aloud.",)})
    with pytest.raises(ValidationError, match="each point of the checklist has an answer"):
        decide(change, "approve", "ana", NOON, answers=answers)
    assert decide(change, "approve", "ana", NOON, answers=("yes",))
    assert decide(change, "reject", "ana", NOON)


class Kept:
    """Is an envelope as it was kept."""

    def __init__(self, given: DecisionEnvelope) -> None:
        self.envelope: dict[str, object] | None = given.model_dump(mode="json")
        self.received_at = NOON


def test_what_holds_together_is_counted_by_people() -> None:
    bound = KINDS["resume"]
    first = accept(signed(bound), bound)
    kept = [
        Kept(signed(bound)),
        Kept(signed(bound, BEN, "ben")),
        Kept(signed(bound, BEN, "ben", prior=first.document_digest)),
        Kept(signed(bound, BEN, "ben", prior=first.document_digest)),
    ]
    places, good, refusal = holding(kept, bound, RULE, REGISTRY, "production", NOON)
    assert (places, [one.approver for one in good], refusal) == ([0, 2], ["ana", "ben"], "wrong_prior")
