"""Signatures: every bit of every kind of key, the armour around them, and keys that do not count."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.errors import DecisionRefusedError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import AcceptedDecision, check, holding
from tellfirst.signing.documents import canonical
from tellfirst.signing.kinds import decide
from tellfirst.signing.registry import Registry
from tests.figures import Told
from tests.signing.make import KEYS, NOON, Signer, armour, blob, ed25519, envelope, proposal, rsa_key, security_key
from tests.signing.test_kinds import KINDS, Kept
from tests.signing.test_registry import key, person

RULE = ApprovalRule(roles=("support-lead",))
BOUND = proposal()
DOCUMENT = decide(BOUND, "approve", "ana", NOON).document()
MESSAGE = canonical(DOCUMENT)


def code(
    signature: str, registry: Registry, *, document: dict[str, object] = DOCUMENT, now: datetime = NOON, **more: object
) -> str:
    """Returns why a decision with this signature is refused, empty when it is accepted."""
    given = envelope(ed25519(), document).model_copy(update={"signature": signature})
    rule, first = more.get("rule", RULE), more.get("first")
    try:
        check(given, BOUND, rule, registry, "production", NOON, now, first)  # type: ignore[arg-type]
    except DecisionRefusedError as error:
        return error.code
    return ""


def registry_of(signer: Signer, rest: str = "") -> Registry:
    return Registry.parse(person("ana", key(signer, rest)))


@pytest.mark.parametrize("make", KEYS)
def test_every_bit_of_a_signature(make: Callable[[], Signer], told: Told) -> None:
    signer = make()
    data, registry = blob(signer, MESSAGE), registry_of(signer)
    assert code(armour(data), registry) == "", "the control"
    codes = []
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        codes.append(code(armour(bytes(flipped)), registry))
    told(f"a bit of the signature ({make.__name__})", codes, 0)


def armours(text: str) -> Iterator[str]:
    """Yields other texts around the same bytes."""
    head, *body, foot, _ = text.split("\n")
    for space in (" ", "\t", "\r", "\n", "\f", "\v", "\0", "\u200b", "\ufeff", "\u2028"):
        yield from (space + text, text + space)
        yield from (text.replace("\n", space + "\n", 1), text.replace("\n", "\n" + space, 1))
        yield "\n".join([head, body[0][:10] + space + body[0][10:], *body[1:], foot, ""])
    yield from (text * 2, text + "\n" + text, text + "x", "x" + text, text.lower(), text.replace("\n", "\r\n"))
    yield "\n".join([head, "".join(body), foot, ""])  # one long line
    yield "\n".join([head, "Comment: hello", "", *body, foot, ""])
    yield "\n".join([head, *body, "=" + "AAAA", foot, ""])
    yield "\n".join([head, *body, "====", foot, ""])
    yield "\n".join([head, *body[:-1], body[-1].rstrip("="), foot, ""]) if body[-1].endswith("=") else ""
    yield "\n".join([head, *(line.replace("+", "-").replace("/", "_") for line in body), "", foot, ""])
    yield text.replace("SSH SIGNATURE", "PGP SIGNATURE")
    yield text.replace("-----BEGIN", "----BEGIN", 1)
    yield "".join(body)
    yield from (text[:length] for length in range(0, len(text) - 1, 7))


def test_other_armour_around_the_same_signature(told: Told) -> None:
    signer = ed25519()
    text, registry = armour(blob(signer, MESSAGE)), registry_of(signer)
    assert code(text, registry) == ""
    codes = [code(other, registry) for other in armours(text) if len(other) > 0]
    told("other armour around it", codes, 0)
    assert set(codes) == {"malformed_signature"}


def test_bytes_around_the_signature(told: Told) -> None:
    signer = ed25519()
    data, registry = blob(signer, MESSAGE), registry_of(signer)
    codes = [code(armour(data + tail), registry) for tail in (b"\0", b"x" * 100, data)]
    codes += [code(armour(data[:length]), registry) for length in range(1, len(data))]
    told("bytes missing or too many", codes, 0)


def test_keys_that_do_not_count(told: Told) -> None:
    signer, other = ed25519(), ed25519()
    text = armour(blob(signer, MESSAGE))
    hour = timedelta(hours=1)
    codes = [
        code(text, registry_of(other)),
        code(armour(blob(other, MESSAGE)), registry_of(signer)),
        code(text, registry_of(signer, f'valid_until = "{(NOON - hour).isoformat()}"')),
        code(text, registry_of(signer, f'valid_until = "{NOON.isoformat()}"')),
        code(text, registry_of(signer, f'valid_from = "{(NOON + hour).isoformat()}"')),
        *(
            code(text, registry_of(signer, f'revoked = "{at.isoformat()}"'))
            for at in (NOON, NOON - hour, datetime(2000, 1, 1, tzinfo=UTC))
        ),
        code(text, registry_of(signer, f'revoked = "{(NOON + hour).isoformat()}"'), now=NOON + hour),
        code(text, Registry.parse(person("ben", key(signer)))),
        code(text, Registry.parse(person("ana", key(signer)).replace("support-lead", "tea maker"))),
        code(armour(blob(signer, MESSAGE, "git")), registry_of(signer)),
        code(armour(blob(signer, MESSAGE, "decision.v2@tellfirst")), registry_of(signer)),
        *(code(armour(blob(security_key(flags), MESSAGE)), registry_of(signer)) for flags in (0, 4, 0x40)),
        code(armour(blob(rsa_key(1024), MESSAGE)), registry_of(signer)),
    ]
    told("keys that do not count", codes, 0)
    assert {"unknown_key", "key_expired", "key_not_yet_valid", "key_revoked", "wrong_person", "not_an_approver"} <= set(
        codes
    )


@pytest.mark.parametrize("kind", KINDS)
def test_people_who_do_not_count(kind: str, told: Told) -> None:
    """The proposer, the editor, the requester; one person with two keys; a second who names another first."""
    one, two, ben = ed25519(), ed25519(), ed25519()
    registry = Registry.parse(person("ana", key(one), key(two)) + person("ben", key(ben)))
    bound, codes = KINDS[kind], []

    def give(
        signer: Signer, name: str, rule: ApprovalRule, first: AcceptedDecision | None = None, prior: str = ""
    ) -> str:
        given = envelope(signer, decide(bound, "approve", name, NOON, prior=prior).document())
        try:
            check(given, bound, rule, registry, "production", NOON, NOON, first)
        except DecisionRefusedError as error:
            return error.code
        return ""

    excluded = ApprovalRule(roles=RULE.roles, excluded=frozenset({"ana"}))
    codes += [give(signer, "ana", excluded) for signer in (one, two)]
    codes += [give(signer, "ben", RULE) for signer in (one, two)]  # in another's name
    both = ApprovalRule(roles=RULE.roles, needed=2)
    first_given = envelope(one, decide(bound, "approve", "ana", NOON).document())
    first = check(first_given, bound, both, registry, "production", NOON, NOON)
    for prior in ("", first.document_digest, "00" * 32, first.document_digest.upper()):
        codes += [give(signer, "ana", both, first, prior) for signer in (one, two)]
    codes += [give(ben, "ben", both, first, prior) for prior in ("", "00" * 32, first.document_digest.upper())]
    assert give(ben, "ben", both, first, first.document_digest) == "", "the control"
    told(f"{kind}: people who do not count", codes, 0)
    assert {"own_proposal", "wrong_person", "same_person", "wrong_prior"} == set(codes)
    kept = [Kept(first_given)] + [
        Kept(envelope(signer, decide(bound, "approve", "ana", NOON, prior=prior).document()))
        for signer in (one, two)
        for prior in ("", first.document_digest)
    ]
    assert len(holding(kept, bound, both, registry, "production", NOON)[0]) == 1, "two keys are one person"


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_ended_since_holds_and_one_that_was_revoked_does_not(kind: str) -> None:
    """Rotation: a new key stands beside the old one, which ends; what it signed before still holds."""
    old, new = ed25519(), ed25519()
    bound, hour = KINDS[kind], timedelta(hours=1)
    kept = [Kept(envelope(old, decide(bound, "approve", "ana", NOON).document()))]

    def holds(*keys: str) -> bool:
        registry = Registry.parse(person("ana", *keys))
        return bool(holding(kept, bound, RULE, registry, "production", NOON + 2 * hour)[0])

    ended = f'valid_until = "{(NOON + hour).isoformat()}"'
    assert holds(key(old))
    assert holds(key(old), key(new))
    assert holds(key(old, ended), key(new))
    assert not holds(key(new)), "the entry stays in the file"
    assert not holds(key(old, f'revoked = "{(NOON + hour).isoformat()}"'), key(new))
    assert not holds(key(old, f'valid_until = "{NOON.isoformat()}"'), key(new)), "it had ended when it came"
