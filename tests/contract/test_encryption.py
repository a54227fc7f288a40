"""Encrypted payloads: their bytes, their keys, and what is refused in one sentence."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from tellfirst.contract import DATA_CONVERTER, Pause
from tellfirst.encryption import Encryption, encrypting, key_id, read_keys
from tellfirst.errors import RefusedError, SettingsError
from tellfirst.settings import Settings

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"event_id":"e-1","paused":true}')
SERIALIZED = bytes.fromhex(
    "0a160a08656e636f64696e67120a6a736f6e2f706c61696e12207b226576656e745f6964223a22652d31222c22706175"
    "736564223a747275657d"
)
VECTOR = bytes.fromhex(
    "000102030405060708090a0b"
    "4d14dc13a08ba174e928f9eca3e3121eecb8a8449c1a36122a479ea7781f65dc754fc7988dfb30fd59955dc1aaf7494d"
    "9d3c04af60a2d1af5aea8d75f30740a645e327089bddd1a6ac9b"
)
"""PLAIN under OLD with the nonce 00…0b, made with `cryptography` apart from this code; it is never changed."""


async def test_a_payload_of_before_is_read() -> None:
    encrypted = Payload(
        metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"e739ed7d87607092"}, data=VECTOR
    )
    assert await Encryption([NEW, OLD]).decode([encrypted]) == [PLAIN]


def test_the_vector_is_what_the_cipher_makes() -> None:
    nonce = VECTOR[:12]
    assert nonce + AESGCM(OLD).encrypt(nonce, SERIALIZED, key_id(OLD).encode()) == VECTOR
    assert Payload.FromString(SERIALIZED) == PLAIN


async def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    (old,), (new,) = [await Encryption(keys).encode([PLAIN]) for keys in ([OLD], [NEW, OLD])]
    assert [one.metadata["encryption-key-id"].decode() for one in (old, new)] == [key_id(OLD), key_id(NEW)]
    assert await Encryption([NEW, OLD]).decode([old, new, PLAIN]) == [PLAIN, PLAIN, PLAIN]
    with pytest.raises(SettingsError, match=rf"a key that is not given \({key_id(NEW)}\)"):
        await Encryption([OLD]).decode([new])


async def test_a_payload_is_encrypted_once_and_never_twice_the_same() -> None:
    codec = Encryption([OLD])
    first, second = await codec.encode([PLAIN, PLAIN])
    assert first.data != second.data
    assert b"e-1" not in first.SerializeToString()
    assert await codec.encode([first]) == [first]


async def test_an_altered_payload_is_refused_at_every_bit() -> None:
    (encrypted,) = await Encryption([OLD]).encode([PLAIN])
    for place in range(len(encrypted.data) * 8):
        data = bytearray(encrypted.data)
        data[place // 8] ^= 1 << place % 8
        with pytest.raises(RefusedError, match="was altered after it was encrypted"):
            await Encryption([OLD]).decode([Payload(metadata=encrypted.metadata, data=bytes(data))])
    for cut in (b"", encrypted.data[:5], encrypted.data[:-1]):
        with pytest.raises(RefusedError, match="was altered"):
            await Encryption([OLD]).decode([Payload(metadata=encrypted.metadata, data=cut)])


async def test_bytes_under_the_name_of_another_key_are_refused() -> None:
    (encrypted,) = await Encryption([OLD]).encode([PLAIN])
    encrypted.metadata["encryption-key-id"] = key_id(NEW).encode()
    with pytest.raises(RefusedError):
        await Encryption([NEW, OLD]).decode([encrypted])
    encrypted.metadata["encryption-key-id"] = b"\xff\n" + b"x" * 1_000
    with pytest.raises(SettingsError, match=r"not given \(a name that none of ours has\)"):
        await Encryption([OLD]).decode([encrypted])


async def test_without_keys_what_is_encrypted_is_refused_and_not_taken_as_it_is() -> None:
    value = Pause(event_id="e-1")
    encrypted = await encrypting([OLD]).encode([value])
    with pytest.raises(SettingsError, match="TELLFIRST_PAYLOAD_KEYS: a payload is encrypted, and no keys are given"):
        await DATA_CONVERTER.decode(encrypted, [Pause])
    assert await encrypting([OLD]).decode(encrypted, [Pause]) == [value]
    assert await encrypting([OLD]).decode(await DATA_CONVERTER.encode([value]), [Pause]) == [value]


async def test_what_a_failure_says_is_encrypted_too() -> None:
    plain, failure = Failure(), Failure()
    error = ApplicationError("Zebulon at +14155550123", "c-17", type="Bad")
    await DATA_CONVERTER.encode_failure(error, plain)
    assert b"Zebulon" in plain.SerializeToString()
    converter = encrypting([NEW, OLD])
    await converter.encode_failure(error, failure)
    assert not any(word in failure.SerializeToString() for word in (b"Zebulon", b"c-17"))
    for given in (failure, plain):
        read = await converter.decode_failure(given)
        assert isinstance(read, ApplicationError)
        assert (read.message, read.details) == (error.message, error.details)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file holds no key"),
        ("# none\n", "the file holds no key"),
        ("c2hvcnQ=\n", "line 1 is no 32 bytes in base64"),
        ("# one\nnot base64!\n", "line 2 is no 32 bytes in base64"),
        (2 * (base64.b64encode(OLD).decode() + "\n"), "line 2 repeats a key"),
        ("é", r"cannot be read \(UnicodeDecodeError\)"),
        (None, r"cannot be read \(FileNotFoundError\)"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    settings = Settings.load(_env_file=None, payload_keys=path)
    with pytest.raises(SettingsError, match=sentence) as caught:
        _ = settings.data_converter
    assert caught.value.exit_code == 2
    assert base64.b64encode(OLD).decode() not in str(caught.value)


def test_keys_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# 2026-11\n{base64.b64encode(NEW).decode()}\n\n  {base64.b64encode(OLD).decode()}\n")
    assert read_keys(path) == (NEW, OLD)
