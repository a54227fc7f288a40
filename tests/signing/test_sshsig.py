import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.errors import DecisionRefusedError
from tellfirst.signing.keys import KINDS, Reader, SigningKey
from tellfirst.signing.sshsig import MAX_LENGTH, verify
from tests.signing.make import (
    KEYS,
    Signer,
    armour,
    blob,
    ecdsa_security_key,
    ed25519,
    field,
    nistp256,
    number,
    rsa_key,
    security_key,
)

NAME = "decision.v1@tellfirst"
MESSAGE = b'{"decision":"approve","v":1}'


def code(text: str, message: bytes = MESSAGE, namespace: str = NAME) -> str:
    with pytest.raises(DecisionRefusedError) as caught:
        verify(text, message, namespace)
    return caught.value.code


@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
@pytest.mark.parametrize("make", [*KEYS, lambda: rsa_key(name="rsa-sha2-256")])
def test_every_admitted_kind_of_key_is_verified(make: Callable[[], Signer], algorithm: str) -> None:
    signer = make()
    key = verify(armour(blob(signer, MESSAGE, NAME, algorithm)), MESSAGE, NAME)
    assert key == SigningKey.parse(signer.line)
    assert key.public == base64.b64encode(signer.public).decode()
    assert key.fingerprint.startswith("SHA256:")


@pytest.mark.parametrize("make", KEYS)
def test_every_flipped_bit_is_refused(make: Callable[[], Signer]) -> None:
    data = blob(make(), MESSAGE)
    text = armour(data)
    assert verify(text, MESSAGE, NAME)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        code(armour(bytes(flipped)))
    for bit in range(len(MESSAGE) * 8):
        message = bytearray(MESSAGE)
        message[bit // 8] ^= 1 << bit % 8
        assert code(text, bytes(message)) == "bad_signature"


def test_every_shortage_and_excess_is_refused() -> None:
    data = blob(ed25519(), MESSAGE)
    for length in range(1, len(data)):
        assert code(armour(data[:length])) == "malformed_signature"
    assert code(armour(data + b"\0")) == "malformed_signature"


def test_a_signature_for_another_purpose_is_refused() -> None:
    signer = ed25519()
    for other in ("git", "file", "decision.v2@tellfirst", ""):
        assert code(armour(blob(signer, MESSAGE, other))) == "wrong_namespace"


def test_a_namespace_written_over_is_refused() -> None:
    data = blob(ed25519(), MESSAGE, "decision.v1@tellother")
    assert code(armour(data.replace(b"tellother", b"tellfirst"))) == "bad_signature"


@pytest.mark.parametrize("make", [security_key, ecdsa_security_key])
def test_a_security_key_must_have_been_touched(make: Callable[[int], Signer]) -> None:
    for flags in (0, 4, 0xFE):
        assert code(armour(blob(make(flags), MESSAGE))) == "no_user_presence"
    assert verify(armour(blob(make(5), MESSAGE)), MESSAGE, NAME)


@pytest.mark.parametrize("make", [security_key, ecdsa_security_key])
def test_the_application_of_a_security_key_is_bound(make: Callable[[int, bytes], Signer]) -> None:
    data = blob(make(1, b"ssh:a"), MESSAGE)
    assert code(armour(data.replace(b"ssh:a", b"ssh:b"))) == "bad_signature"


def test_weak_rsa_keys_are_refused() -> None:
    assert code(armour(blob(rsa_key(1024), MESSAGE))) == "weak_key"
    assert code(armour(blob(rsa_key(2048, exponent=3), MESSAGE))) == "weak_key"


def test_rsa_with_sha1_is_refused() -> None:
    signer = rsa_key()
    inner = Signer(signer.public, lambda data: signer.sign(data).replace(field("rsa-sha2-512"), field("ssh-rsa")))
    assert code(armour(blob(inner, MESSAGE))) == "malformed_signature"


def test_other_kinds_of_keys_are_refused() -> None:
    signer = ed25519()
    for kind in ("ssh-dss", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519-cert-v01@openssh.com", ""):
        other = Signer(field(kind) + signer.public[15:], signer.sign)
        assert code(armour(blob(other, MESSAGE))) == "unsupported_key"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\0\0\0\x06sha512", b"\0\0\0\x04sha1"),
        lambda data: data.replace(b"\0\0\0\x06sha512", b"\0\0\0\x06sha384"),
        lambda data: data.replace(b"SSHSIG\0\0\0\x01", b"SSHSIG\0\0\0\x02"),
        lambda data: data.replace(b"tellfirst\0\0\0\0", b"tellfirst\0\0\0\x01x"),
    ],
)
def test_other_hashes_versions_and_extensions_are_refused(change: Callable[[bytes], bytes]) -> None:
    data = blob(ed25519(), MESSAGE)
    assert change(data) != data
    assert code(armour(change(data))) == "malformed_signature"


def test_a_second_spelling_of_a_number_is_refused() -> None:
    signer = nistp256()

    def padded(data: bytes) -> bytes:
        pair = signer.sign(data)[27:]
        size = int.from_bytes(pair[:4], "big")
        return field("ecdsa-sha2-nistp256") + field(field(b"\0" + pair[4 : 4 + size]) + pair[4 + size :])

    assert code(armour(blob(Signer(signer.public, padded), MESSAGE))) == "malformed_signature"
    zero = Signer(signer.public, lambda data: field("ecdsa-sha2-nistp256") + field(field(b"") + number(1)))
    assert code(armour(blob(zero, MESSAGE))) == "malformed_signature"


def test_only_the_exact_armour_is_read() -> None:
    text = armour(blob(ed25519(), MESSAGE))
    assert verify(text.rstrip("\n"), MESSAGE, NAME)
    for other in (
        "",
        " " + text,
        text + "\n",
        text + "x",
        text.replace("\n", "\r\n"),
        text.replace("SSH SIGNATURE", "PGP SIGNATURE"),
        text.replace("-----\n", "-----\n\n", 1),
        text.replace("-----\n", "-----\n*", 1),
        text.replace("-----\n", "-----\n====\n", 1),
        "".join(text.split("\n")),
        text * 2,
    ):
        assert code(other) == "malformed_signature"


def test_base64_with_stray_bits_is_refused() -> None:
    data = blob(rsa_key(), MESSAGE)
    # Only a text that ends in padding has bits that decode to nothing.
    data = data if len(data) % 3 else blob(rsa_key(2056), MESSAGE)
    text = armour(data)
    at = text.index("=\n") - (2 if "==\n" in text else 1)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = text[:at] + alphabet[alphabet.index(text[at]) + 1] + text[at + 1 :]
    assert verify(text, MESSAGE, NAME)
    assert code(stray) == "malformed_signature"


def test_long_texts_are_refused_before_they_are_read() -> None:
    long = "n" * MAX_LENGTH
    assert code(armour(blob(ed25519(), MESSAGE, long)), namespace=long) == "malformed_signature"


def test_a_field_longer_than_its_blob_is_refused() -> None:
    for data in (b"", b"\0\0\0", b"\0\0\0\x02x", b"\xff\xff\xff\xffx"):
        with pytest.raises(DecisionRefusedError, match="too early"):
            Reader(data).string()


@given(st.text(max_size=300) | st.text(alphabet="-BEGINSH UATRD\nabc=+/", max_size=300))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    assert code(text) == "malformed_signature"


@given(st.binary(max_size=400))
def test_any_bytes_in_armour_are_refused_and_nothing_else_happens(data: bytes) -> None:
    code(armour(data or b"x"))


SIGNERS = [make() for make in KEYS]


@given(
    st.sampled_from(SIGNERS),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4),
)
def test_any_splice_into_a_signature_is_refused(signer: Signer, splices: list[tuple[int, int, bytes]]) -> None:
    data = good = blob(signer, MESSAGE)
    for at, removed, added in splices:
        at %= len(data) + 1
        data = data[:at] + added + data[at + removed :]
    if data not in (good, b""):
        code(armour(data))


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_public_key_of_a_known_kind_is_read_or_refused(kind: bytes, data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.binary(max_size=70) | st.just(b"nistp256"), max_size=3))
    signer = Signer(field(kind) + b"".join(map(field, fields)), lambda message: field(kind) + field(b"\0" * 64))
    code(armour(blob(signer, MESSAGE)))


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!!", "ssh-ed25519 AAAA", "ssh-rsa ÄÖ x"])
def test_lines_that_are_no_public_key_are_refused(line: str) -> None:
    with pytest.raises(DecisionRefusedError):
        SigningKey.parse(line)


def test_a_line_may_not_name_another_type_than_its_key() -> None:
    kind, text, comment = ed25519().line.split(maxsplit=2)
    assert SigningKey.parse(f"{kind} {text} {comment}").type == kind
    with pytest.raises(DecisionRefusedError):
        SigningKey.parse(f"ssh-rsa {text} {comment}")
    with pytest.raises(DecisionRefusedError):
        SigningKey.parse(f"{kind} {text}\n{kind} {text}")
