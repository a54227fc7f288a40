import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tellfirst.errors import DecisionRefusedError
from tellfirst.signing.documents import MAX_BYTES, MAX_DEPTH, canonical, digest
from tellfirst.signing.kinds import OutreachDecision, Proposal, differences
from tests.signing.make import NOON, proposal

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> dict[str, object]:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return {"a": value}


def test_canonical_is_rfc_8785() -> None:
    document: dict[str, object] = {"b": [1, True, None], "€": "ö\n\u0001", "a": {"z": -5, "\r": ""}}
    assert canonical(document) == '{"a":{"\\r":"","z":-5},"b":[1,true,null],"€":"ö\\n\\u0001"}'.encode()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(st.dictionaries(st.text(max_size=8), plain, max_size=4))
def test_canonical_has_one_spelling_and_loses_nothing(document: dict[str, object]) -> None:
    data = canonical(document)
    assert json.loads(data) == document
    assert canonical(json.loads(data)) == data
    assert canonical(dict(reversed(document.items()))) == data


@pytest.mark.parametrize(
    "document",
    [
        {"a": 1.0},
        {"a": [0.5]},
        {"a": {"b": float("nan")}},
        {"a": 2**53},
        {"a": -(2**53)},
        {"a": b"bytes"},
        {"a": {1: "x"}},
        {1: "x"},
        {"a": "\ud800"},
        {"\ud800": "a"},
        {"a": NOON},
        {"a": ("tuple",)},
        nested(MAX_DEPTH + 1),
        nested(100_000),
        {"a": "x" * MAX_BYTES},
    ],
)
def test_what_json_cannot_carry_exactly_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(DecisionRefusedError) as caught:
        canonical(document)
    assert caught.value.code == "malformed"
    assert canonical(nested(MAX_DEPTH - 1))


def test_a_proposal_survives_its_json() -> None:
    document = proposal().document()
    assert document["decide_by"] == "2026-03-01T16:00:00Z"
    assert document["promises"] == {"update-1": "2026-03-02T12:00:00Z"}
    assert Proposal.model_validate(json.loads(canonical(document))) == proposal()
    assert Proposal.model_validate_json(proposal().model_dump_json()) == proposal()


def test_a_decision_is_the_proposal_and_who_said_what() -> None:
    decision = proposal().decide("reject", "ana", NOON, "the carrier says otherwise")
    assert decision.document() == {
        **proposal().document(),
        "decision": "reject",
        "approver": "ana",
        "issued_at": "2026-03-01T12:00:00Z",
        "reason": "the carrier says otherwise",
        "prior": "",
    }
    assert differences(proposal(), decision) == []
    assert OutreachDecision.model_validate(decision.document()) == decision


def test_instants_are_whole_seconds_in_utc_and_never_later() -> None:
    local = datetime(2026, 3, 1, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert proposal().decide("approve", "ana", local).issued_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00", "2026-03-01 12:00:00Z", "2026-03-01T12:00:00.0Z", "2026-03-01",
     "2026-02-30T12:00:00Z", "２026-03-01T12:00:00Z", "2026-03-01T12:00:00Z\n", 1_772_366_400, datetime(2026, 3, 1)],  # noqa: DTZ001
)  # fmt: skip
def test_an_instant_has_one_spelling(text: object) -> None:
    with pytest.raises(ValidationError):
        Proposal.model_validate({**proposal().document(), "decide_by": text})


@pytest.mark.parametrize("field", list(Proposal.model_fields))
def test_every_bound_field_is_compared(field: str) -> None:
    assert differences(proposal(), changed(field)) == [field]


def changed(field: str) -> OutreachDecision:
    """Returns an approval that differs from the proposal in one field only."""
    document = proposal().decide("approve", "ana", NOON).document()
    steps = proposal().document()["steps"]
    assert isinstance(steps, dict)
    steps["update-1"]["fields"]["days_late"]["max"] = 31
    other = {
        "v": 2,
        "kind": "continue",
        "environment": "staging",
        "outreach": "outreach/late_delivery/2026-03-01/2",
        "revision": 1,
        "playbook": "failed_payment",
        "playbook_version": "60" * 32,
        "steps": steps,
        "audience_root": "de" * 32,
        "audience_count": 1_235,
        "canary": 3,
        "addendum": "correction/initial",
        "channels": {"sms": 1_001, "email": 233},
        "fallbacks": {"email": 1},
        "purpose": "marketing",
        "promises": {"update-1": "2026-03-02T12:00:01Z"},
        "decide_by": "2026-03-01T16:00:01Z",
        "valid_until": "2026-03-03T12:00:01Z",
        "nonce": "n-0002",
        "proposer": "ben",
        "editor": "ben",
        "cost_micros": 1,
        "currency": "EUR",
    }[field]
    if field in ("v", "kind"):  # one value only: no valid document has another
        with pytest.raises(ValidationError):
            OutreachDecision.model_validate({**document, field: other})
        return OutreachDecision.model_validate(document).model_copy(update={field: other})
    return OutreachDecision.model_validate({**document, field: other})
