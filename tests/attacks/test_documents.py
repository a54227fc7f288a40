"""Documents changed after they were signed, or written so that two readers see two things: none holds."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError
from tellfirst.signing.decisions import check
from tellfirst.signing.documents import canonical
from tellfirst.signing.kinds import PROPOSALS, Bound, Decided
from tests.attacks.mutations import of_document, put
from tests.figures import Told
from tests.signing.make import NOON, envelope
from tests.signing.test_kinds import ANA, KINDS, REGISTRY, RULE, signed

OWN = set(Decided.model_fields)
"""What the signer says, and nobody bound before."""
FINE = {"v", "kind"}


def code(given: DecisionEnvelope, bound: Bound) -> str:
    """Returns why a decision is refused, empty when it is accepted."""
    try:
        check(given, bound, RULE, REGISTRY, "production", NOON, NOON)
    except DecisionRefusedError as error:
        return error.code
    return ""


def given_as(document: Any, signature: str) -> Iterator[DecisionEnvelope]:
    """Yields the envelope where a document is an object at all."""
    try:
        yield DecisionEnvelope(document=document, signature=signature)
    except ValidationError:
        return


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_changed_after_it_was_signed(kind: str, told: Told) -> None:
    genuine = signed(KINDS[kind])
    assert code(genuine, KINDS[kind]) == "", "the control"
    codes = [
        code(given, KINDS[kind])
        for _, document in of_document(genuine.document)
        for given in given_as(document, genuine.signature)
    ]
    told(f"{kind}: changed after it was signed", codes, 0)
    assert set(codes) <= {"bad_signature", "malformed"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_changed_and_signed_anew_by_an_approver(kind: str, told: Told) -> None:
    """An approver signs what nobody proposed: content, audience, count, channels, amount, dates, anything bound."""
    genuine = signed(KINDS[kind]).document
    codes = []
    for path, document in of_document(genuine):
        if path and path[0] in OWN:
            continue
        try:
            given = envelope(ANA, document)
        except (DecisionRefusedError, ValidationError):
            codes.append("malformed")  # there are no bytes that anybody could sign
        else:
            codes.append(code(given, KINDS[kind]))
    told(f"{kind}: changed and signed anew", codes, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_proposal_changed_under_a_signature(kind: str, told: Told) -> None:
    """The document stays what was signed, and what the database proposes is changed."""
    bound = KINDS[kind]
    genuine, codes = signed(bound), []
    for _, document in of_document(bound.document()):
        try:
            other = PROPOSALS[kind].model_validate(document)
        except ValidationError:
            codes.append("unreadable")  # it comes to no judgement
            continue
        if other != bound:
            codes.append(code(genuine, other))
    told(f"{kind}: the proposal changed beneath it", codes, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_of_elsewhere_or_of_before(kind: str, told: Told) -> None:
    """Replayed: of another environment, another thing, another revision, another nonce; in time and too late."""
    bound = KINDS[kind]
    others = [
        bound.model_copy(update={name: f"{getattr(bound, name)}x"})
        for name in type(bound).model_fields
        if isinstance(getattr(bound, name), str) and name not in FINE and name != "currency"
    ]
    others += [
        bound.model_copy(update={name: getattr(bound, name) + 1})
        for name in type(bound).model_fields
        if type(getattr(bound, name)) is int and name not in FINE
    ]
    codes = [code(signed(other), bound) for other in others]
    late = signed(bound)
    for received, now in (
        (bound.decide_by + timedelta(seconds=1),) * 2,
        (NOON, bound.valid_until + timedelta(seconds=1)),
    ):
        with pytest.raises(DecisionRefusedError) as caught:
            check(late, bound, RULE, REGISTRY, "production", received, now)
        codes.append(caught.value.code)
    told(f"{kind}: replayed from elsewhere", codes, 0)
    assert {"wrong_environment", "too_late", "expired"} <= set(codes)


# -- texts in which two readers see two documents


def spellings(document: dict[str, object], signature: str) -> Iterator[str]:
    """Yields JSON texts of an envelope that a careless reader takes for the signed one."""
    text = json.dumps(document)
    for name, value in document.items():
        other = json.dumps(value + 1 if type(value) is int else "other")
        key = f"{json.dumps(name)}: "
        yield text.replace(key, f"{key}{json.dumps(value)}, {key}{other}, _: ", 1).replace("_: ", '"_": ', 1)
        yield text[:-1] + f", {key}{other}}}"  # the last of two counts
        yield text[:-1] + f", {json.dumps(name.upper())}: {other}}}"
        yield text[:-1] + f', "{name}\\u200b": {other}}}'
        if type(value) is int:
            for written in (f"{value}.0", f"{value}e0", f"{value + 1}", "NaN", "Infinity", "-0", "1e400", "9" * 400):
                yield text.replace(f"{key}{value}", f"{key}{written}", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_with_two_readings(kind: str, told: Told) -> None:
    genuine = signed(KINDS[kind])
    codes = []
    for text in spellings(genuine.document, genuine.signature):
        raw = f'{{"document": {text}, "signature": {json.dumps(genuine.signature)}}}'
        try:
            given = DecisionEnvelope.model_validate_json(raw)
            if given.document != genuine.document:
                codes.append(code(given, KINDS[kind]))
            loads = DecisionEnvelope.model_validate(json.loads(raw))
            if loads.document != genuine.document:
                codes.append(code(loads, KINDS[kind]))
        except (ValidationError, ValueError):
            codes.append("unreadable")
    told(f"{kind}: two readings", codes, 0)


def test_a_spelling_of_the_same_document_is_the_same_document() -> None:
    """White space, order and escapes are the wire's: there is one canonical text, and it is what was signed."""
    genuine = signed(KINDS["outreach"])
    for text in (
        json.dumps(genuine.document, indent=7),
        json.dumps(dict(reversed(genuine.document.items())), ensure_ascii=True),
    ):
        assert canonical(json.loads(text)) == canonical(genuine.document)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(KINDS)), st.data(), PLAIN)
def test_anything_in_place_of_anything_is_refused(kind: str, data: st.DataObject, value: object) -> None:
    genuine = signed(KINDS[kind]).document
    name = data.draw(st.sampled_from(sorted(set(genuine) - OWN)))
    changed = put(genuine, (name,), value)
    try:
        given = envelope(ANA, changed)
    except (DecisionRefusedError, ValidationError):
        return
    assert bool(code(given, KINDS[kind])) == (canonical(changed) != canonical(genuine))
