"""Encrypted payloads: whoever reads Temporal's database or backups sees ids and counts, and none of what was said.

Search attributes, workflow ids, names and times stay legible. Needs `cryptography`, which the extra `server` brings.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from tellfirst.errors import RefusedError, SettingsError
from tellfirst.payloads import DATA_CONVERTER, ENCRYPTED

KEY_ID = "encryption-key-id"
KEY_BYTES, NONCE_BYTES = 32, 12
SETTING = "TELLFIRST_PAYLOAD_KEYS"


class Encryption(PayloadCodec):
    """Encrypts whole payloads with AES-256-GCM under the first key, and decrypts with any; the nonce comes first.

    A key is 32 bytes and named by its own digest, so one name never means two keys. What is not encrypted is read as it
    is: it was written before encryption was switched on.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._newest = key_id(keys[0])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Returns them encrypted."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Returns them decrypted; raises SettingsError for a key that is not given, RefusedError for altered bytes."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        # Encrypted twice by whoever encodes what is encoded already, it would be read by nobody.
        if payload.metadata.get("encoding") == ENCRYPTED:
            return payload
        nonce, name = os.urandom(NONCE_BYTES), self._newest.encode()
        data = nonce + self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": ENCRYPTED, KEY_ID: name}, data=data)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED:
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name.decode("ascii", "replace"))
        if cipher is None:
            raise SettingsError(
                f"a payload is encrypted with a key that is not given ({_printable(name)})",
                where=SETTING,
                remedy="keep old keys until nothing refers to them",
            )
        try:
            return Payload.FromString(cipher.decrypt(payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], name))
        except (InvalidTag, ValueError, DecodeError):
            raise RefusedError(
                f"a payload was altered after it was encrypted (key {_printable(name)})",
                remedy="see docs/security.md",
            ) from None


def encrypting(keys: Sequence[bytes]) -> DataConverter:
    """Returns the data converter that encrypts payloads and what failures say with the first of these keys."""
    return replace(
        DATA_CONVERTER,
        payload_codec=Encryption(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Returns the keys of a file, newest first: one a line, 32 bytes in base64; `#` begins a comment line.

    Raises SettingsError naming the line that is wrong, never what stands in it.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the file of keys cannot be read ({type(error).__name__})", where=SETTING, remedy=f"check {path}"
        ) from None
    keys: list[bytes] = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            key = _key(line)
            if key is None or key in keys:
                wrong = "is no 32 bytes in base64" if key is None else "repeats a key"
                raise SettingsError(
                    f"line {number} {wrong}", where=f"{SETTING} ({path})", remedy="`openssl rand -base64 32` makes one"
                )
            keys.append(key)
    if not keys:
        raise SettingsError("the file holds no key", where=f"{SETTING} ({path})", remedy="see docs/operations.md")
    return tuple(keys)


def key_id(key: bytes) -> str:
    """Returns the name of a key, which tells nothing of it."""
    return hashlib.sha256(b"tellfirst payload key v1" + key).hexdigest()[:16]


def _key(line: str) -> bytes | None:
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None


def _printable(name: bytes) -> str:
    # It comes from whoever wrote the payload.
    return name.decode() if len(name) <= 64 and name.isalnum() else "a name that none of ours has"
