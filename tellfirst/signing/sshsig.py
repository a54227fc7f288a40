"""OpenSSH file signatures (PROTOCOL.sshsig): people sign with `ssh-keygen -Y sign`, we verify in process.

The signature must have exactly the form that ssh-keygen writes; a second spelling of the same signature is refused.
"""

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from tellfirst.errors import DecisionRefusedError
from tellfirst.signing.keys import Reader, SigningKey, malformed, read_key

MAX_LENGTH = 8_192
MAGIC = b"SSHSIG"
VERSION = 1
HASHES = frozenset({b"sha512", b"sha256"})

_ARMOUR = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/]{70}\n)*[A-Za-z0-9+/=]{1,70}\n)-----END SSH SIGNATURE-----\n?",
    re.ASCII,
)


def verify(armoured: str, message: bytes, namespace: str) -> SigningKey:
    """Returns the key that signed `message` under `namespace`; whose key it is, the registry says.

    Raises DecisionRefusedError, and nothing else, whatever the text: `malformed_signature`, `wrong_namespace`,
    `unsupported_key`, `weak_key`, `no_user_presence` or `bad_signature`.
    """
    fields = Reader(_blob(armoured))
    if fields.take(len(MAGIC)) != MAGIC or fields.uint32() != VERSION:
        raise malformed("the text is not an SSH signature of version 1")
    public, signed_for, reserved = fields.string(), fields.string(), fields.string()
    algorithm, signature = fields.string(), Reader(fields.string())
    fields.end()
    if reserved or algorithm not in HASHES:
        raise malformed("the signature uses a hash or an extension that is not admitted")
    if signed_for != namespace.encode():
        raise DecisionRefusedError(
            "wrong_namespace",
            f"the signature was made for another purpose than {namespace}",
            remedy=f"sign with ssh-keygen -Y sign -n {namespace}",
        )
    key = read_key(public)
    try:
        key.check(signature.string(), signature, signed_data(message, namespace, algorithm))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise DecisionRefusedError(
            "bad_signature",
            "the signature does not belong to this document and key",
            remedy="fetch the document again and sign it unchanged",
        ) from None
    return SigningKey.of(public)


def signed_data(message: bytes, namespace: str, algorithm: bytes) -> bytes:
    """Returns the bytes that the private key signs: never the message itself, so no other protocol can be fooled."""
    digest = hashlib.new(algorithm.decode(), message).digest()
    fields = (namespace.encode(), b"", algorithm, digest)
    return MAGIC + b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def _blob(armoured: str) -> bytes:
    match = _ARMOUR.fullmatch(armoured) if len(armoured) <= MAX_LENGTH else None
    if match is None:
        raise malformed("the text is not an armoured SSH signature")
    text = match[1].replace("\n", "")
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise malformed("the armoured signature is not base64 text") from None
    # Base64 lets unused bits differ: only the spelling that we would write ourselves counts.
    if base64.b64encode(blob).decode() != text:
        raise malformed("the armoured signature is not in its only spelling")
    return blob
