"""SSH public keys: which kinds may sign a decision, and how each checks a signature.

Formats: RFC 4253 and RFC 8332 (RSA), RFC 5656 (ECDSA), RFC 8709 (Ed25519), OpenSSH PROTOCOL.u2f (security keys).
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tellfirst.domain.base import Frozen
from tellfirst.errors import DecisionRefusedError

RSA_BITS = range(2048, 8192 + 1)
RSA_EXPONENTS = range(65537, 2**32, 2)
USER_PRESENT = 0x01


def malformed(what: str) -> DecisionRefusedError:
    """Returns the refusal of something that is not an SSH signature or key."""
    return DecisionRefusedError("malformed_signature", what, remedy="sign again with ssh-keygen -Y sign")


class Reader:
    """Reads SSH wire fields in order; a shortage, an excess or a second spelling is a refusal."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """Returns the next `count` bytes."""
        if count > len(self._data) - self._at:
            raise malformed("the signature ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def uint32(self) -> int:
        """Returns the next big-endian number of four bytes."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Returns the next length-prefixed bytes."""
        return self.take(self.uint32())

    def positive(self) -> int:
        """Returns the next mpint, which is above zero and written in its shortest form."""
        data = self.string()
        value = int.from_bytes(data, "big")
        # One leading zero, and only before a set high bit: else one signature has many spellings.
        if value == 0 or len(data) != value.bit_length() // 8 + 1:
            raise malformed("the signature holds a number that is not in its shortest form")
        return value

    def end(self) -> None:
        """Refuses bytes that nobody reads."""
        if self._at != len(self._data):
            raise malformed("the signature has bytes after its end")


class PublicKey(Protocol):
    """Checks signatures of one key; raises `InvalidSignature` or `ValueError` when one does not hold."""

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks what follows the algorithm in a signature blob against `data`."""
        ...


@dataclass(frozen=True)
class Ed25519:
    """Is `ssh-ed25519`."""

    key: Ed25519PublicKey

    @classmethod
    def read(cls, fields: Reader) -> Self:
        """Reads the 32 bytes of the point."""
        return cls(Ed25519PublicKey.from_public_bytes(fields.string()))

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks the 64 bytes of the signature."""
        _same(algorithm, b"ssh-ed25519")
        signature = fields.string()
        fields.end()
        self.key.verify(signature, data)


@dataclass(frozen=True)
class SecurityKey:
    """Is `sk-ssh-ed25519@openssh.com`: a key in hardware, which must have been touched."""

    key: Ed25519PublicKey
    application: bytes

    @classmethod
    def read(cls, fields: Reader) -> Self:
        """Reads the point and the application."""
        return cls(Ed25519PublicKey.from_public_bytes(fields.string()), fields.string())

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks the signature, and that a person touched the key: stock `ssh-keygen -Y verify` does not look."""
        _same(algorithm, b"sk-ssh-ed25519@openssh.com")
        signature, touch = fields.string(), fields.take(5)
        fields.end()
        self.key.verify(signature, _touched(self.application, touch, data))
        _check_touch(touch)


class Curve(NamedTuple):
    """Is a curve of RFC 5656: its name, what it is, and the hash that goes with it."""

    name: bytes
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm

    def point(self, fields: Reader) -> ec.EllipticCurvePublicKey:
        """Reads the curve's name and the uncompressed point."""
        name, point = fields.string(), fields.string()
        if name != self.name or len(point) != 1 + 2 * ((self.curve.key_size + 7) // 8):
            raise malformed(f"the public key is not an uncompressed point of {self.name.decode()}")
        return ec.EllipticCurvePublicKey.from_encoded_point(self.curve, point)


P256 = Curve(b"nistp256", ec.SECP256R1(), hashes.SHA256())
P384 = Curve(b"nistp384", ec.SECP384R1(), hashes.SHA384())
P521 = Curve(b"nistp521", ec.SECP521R1(), hashes.SHA512())


@dataclass(frozen=True)
class Ecdsa:
    """Is `ecdsa-sha2-nistp256`, `-nistp384` or `-nistp521`."""

    key: ec.EllipticCurvePublicKey
    on: Curve

    @classmethod
    def read(cls, on: Curve, fields: Reader) -> Self:
        """Reads the curve's name and the point."""
        return cls(on.point(fields), on)

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks the pair (r, s)."""
        _same(algorithm, b"ecdsa-sha2-" + self.on.name)
        pair = _pair(fields)
        fields.end()
        self.key.verify(pair, data, ec.ECDSA(self.on.hash))


@dataclass(frozen=True)
class EcdsaSecurityKey:
    """Is `sk-ecdsa-sha2-nistp256@openssh.com`: an older key in hardware, which must have been touched too."""

    key: ec.EllipticCurvePublicKey
    application: bytes

    @classmethod
    def read(cls, fields: Reader) -> Self:
        """Reads the curve, the point and the application."""
        return cls(P256.point(fields), fields.string())

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks the pair (r, s), and that a person touched the key."""
        _same(algorithm, b"sk-ecdsa-sha2-nistp256@openssh.com")
        pair, touch = _pair(fields), fields.take(5)
        fields.end()
        self.key.verify(pair, _touched(self.application, touch, data), ec.ECDSA(P256.hash))
        _check_touch(touch)


@dataclass(frozen=True)
class Rsa:
    """Is `ssh-rsa` signing with `rsa-sha2-512` or `rsa-sha2-256`, of 2,048 bits or more."""

    key: rsa.RSAPublicKey

    @classmethod
    def read(cls, fields: Reader) -> Self:
        """Reads exponent and modulus."""
        exponent, modulus = fields.positive(), fields.positive()
        if modulus.bit_length() not in RSA_BITS or exponent not in RSA_EXPONENTS:
            raise DecisionRefusedError(
                "weak_key",
                f"the RSA key of {modulus.bit_length()} bits is outside {RSA_BITS[0]} to {RSA_BITS[-1]} bits"
                f" or its exponent is below {RSA_EXPONENTS[0]}",
                remedy="make a key with ssh-keygen -t ed25519",
            )
        return cls(rsa.RSAPublicNumbers(exponent, modulus).public_key())

    def check(self, algorithm: bytes, fields: Reader, data: bytes) -> None:
        """Checks a PKCS #1 v1.5 signature as long as the modulus."""
        signature = fields.string()
        fields.end()
        if algorithm == b"rsa-sha2-512":
            self.key.verify(signature, data, padding.PKCS1v15(), hashes.SHA512())
        else:
            _same(algorithm, b"rsa-sha2-256")
            self.key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


KINDS: dict[bytes, Callable[[Reader], PublicKey]] = {
    b"ssh-ed25519": Ed25519.read,
    b"sk-ssh-ed25519@openssh.com": SecurityKey.read,
    **{b"ecdsa-sha2-" + on.name: partial(Ecdsa.read, on) for on in (P256, P384, P521)},
    b"sk-ecdsa-sha2-nistp256@openssh.com": EcdsaSecurityKey.read,
    b"ssh-rsa": Rsa.read,
}
"""Reads what follows the type in a public key blob."""
CERTIFICATE = b"-cert-v01@openssh.com"


class SigningKey(Frozen):
    """Is a public key as a name for its holder: type, OpenSSH fingerprint `SHA256:...`, the blob in base64."""

    type: str
    fingerprint: str
    public: str

    @property
    def blob(self) -> bytes:
        """Returns the public key blob."""
        return base64.b64decode(self.public)

    @classmethod
    def of(cls, blob: bytes) -> Self:
        """Returns the key in a public key blob; raises DecisionRefusedError when its kind may not sign."""
        read_key(blob)
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        return cls(
            type=Reader(blob).string().decode(),
            fingerprint=f"SHA256:{digest}",
            public=base64.b64encode(blob).decode(),
        )

    @classmethod
    def parse(cls, line: str) -> Self:
        """Returns the key on a line of a `.pub` file: type, base64, and a comment that is dropped.

        Raises DecisionRefusedError (`malformed_signature`, `unsupported_key`, `weak_key`).
        """
        words = line.split(maxsplit=2)
        if len(words) < 2 or "\n" in line.strip():
            raise malformed("a public key is one line: its type, a space, its base64 text")
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            raise malformed("the public key is not base64 text") from None
        key = cls.of(blob)
        if (key.type, key.public) != (words[0], words[1]):
            raise malformed("the public key is of another type than its line says")
        return key


def read_key(blob: bytes) -> PublicKey:
    """Returns the key in a public key blob; raises DecisionRefusedError when it is malformed, weak or not admitted."""
    fields = Reader(blob)
    type_ = fields.string()
    if type_.endswith(CERTIFICATE):
        raise DecisionRefusedError(
            "unsupported_key",
            "a certificate says nothing here, the registry names the keys themselves",
            remedy="sign with -f KEY or KEY.pub, not KEY-cert.pub",
        )
    read = KINDS.get(type_)
    if read is None:
        raise DecisionRefusedError(
            "unsupported_key", "this kind of key may not sign decisions", remedy=f"use {', '.join(_names())}"
        )
    try:
        key = read(fields)
    except (ValueError, UnsupportedAlgorithm):
        raise malformed("the public key holds no point or number of its kind") from None
    fields.end()
    return key


def _names() -> list[str]:
    return [name.decode() for name in KINDS]


def _pair(fields: Reader) -> bytes:
    """Reads (r, s) and returns them as `cryptography` wants them."""
    pair = Reader(fields.string())
    r, s = pair.positive(), pair.positive()
    pair.end()
    return encode_dss_signature(r, s)


def _touched(application: bytes, touch: bytes, data: bytes) -> bytes:
    """Returns what hardware signs: flags and counter stand between the application and the data."""
    return hashlib.sha256(application).digest() + touch + hashlib.sha256(data).digest()


def _check_touch(touch: bytes) -> None:
    if not touch[0] & USER_PRESENT:
        raise DecisionRefusedError(
            "no_user_presence", "the security key signed without being touched", remedy="sign again and touch it"
        )


def _same(algorithm: bytes, expected: bytes) -> None:
    if algorithm != expected:
        raise malformed("the signature was made with an algorithm that is not the key's")
