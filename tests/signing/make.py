"""Keys, signatures, proposals and registries for the tests, made from their specification and not by our verifier."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tellfirst.contract import DecisionEnvelope
from tellfirst.signing.documents import NAMESPACE, canonical
from tellfirst.signing.kinds import OutreachDecision, Proposal, StepBinding

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SK = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


def field(data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return len(data).to_bytes(4, "big") + data


def number(value: int) -> bytes:
    return field(value.to_bytes(value.bit_length() // 8 + 1, "big"))


@dataclass(frozen=True)
class Signer:
    """Is a private key of a test: its public blob, and what signs bytes into a signature blob."""

    public: bytes
    sign: Callable[[bytes], bytes]

    @property
    def line(self) -> str:
        size = int.from_bytes(self.public[:4], "big")
        return f"{self.public[4 : 4 + size].decode()} {base64.b64encode(self.public).decode()} someone's key"


def ed25519() -> Signer:
    key = Ed25519PrivateKey.generate()
    public = field("ssh-ed25519") + field(key.public_key().public_bytes_raw())
    return Signer(public, lambda data: field("ssh-ed25519") + field(key.sign(data)))


def security_key(flags: int = 1, application: bytes = b"ssh:") -> Signer:
    key = Ed25519PrivateKey.generate()
    public = field(SK) + field(key.public_key().public_bytes_raw()) + field(application)

    def sign(data: bytes) -> bytes:
        tail = bytes([flags]) + (7).to_bytes(4, "big")
        told = hashlib.sha256(application).digest() + tail + hashlib.sha256(data).digest()
        return field(SK) + field(key.sign(told)) + tail

    return Signer(public, sign)


CURVES: dict[int, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    256: (ec.SECP256R1(), hashes.SHA256()),
    384: (ec.SECP384R1(), hashes.SHA384()),
    521: (ec.SECP521R1(), hashes.SHA512()),
}


def _on_curve(bits: int, kind: str = "") -> tuple[bytes, Callable[[bytes], bytes]]:
    """Returns the public blob of a new key, and what signs bytes into the pair of numbers."""
    curve, hash_ = CURVES[bits]
    key = ec.generate_private_key(curve)
    point, size = key.public_key().public_numbers(), (bits + 7) // 8
    encoded = b"\x04" + point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")
    public = field(kind or f"ecdsa-sha2-nistp{bits}") + field(f"nistp{bits}") + field(encoded)

    def pair(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_)))
        return field(number(r) + number(s))

    return public, pair


def nistp(bits: int) -> Signer:
    public, pair = _on_curve(bits)
    return Signer(public, lambda data: field(f"ecdsa-sha2-nistp{bits}") + pair(data))


def nistp256() -> Signer:
    return nistp(256)


def nistp384() -> Signer:
    return nistp(384)


def nistp521() -> Signer:
    return nistp(521)


def ecdsa_security_key(flags: int = 1, application: bytes = b"ssh:") -> Signer:
    public, pair = _on_curve(256, SK_ECDSA)

    def sign(data: bytes) -> bytes:
        tail = bytes([flags]) + (7).to_bytes(4, "big")
        told = hashlib.sha256(application).digest() + tail + hashlib.sha256(data).digest()
        return field(SK_ECDSA) + pair(told) + tail

    return Signer(public + field(application), sign)


def rsa_key(bits: int = 2048, name: str = "rsa-sha2-512", exponent: int = 65537) -> Signer:
    key = rsa.generate_private_key(exponent, bits)
    public_numbers = key.public_key().public_numbers()
    public = field("ssh-rsa") + number(public_numbers.e) + number(public_numbers.n)
    digest: hashes.HashAlgorithm
    digest = {"rsa-sha2-512": hashes.SHA512(), "rsa-sha2-256": hashes.SHA256(), "ssh-rsa": hashes.SHA1()}[name]
    return Signer(public, lambda data: field(name) + field(key.sign(data, padding.PKCS1v15(), digest)))


def blob(signer: Signer, message: bytes, namespace: str = NAMESPACE, algorithm: str = "sha512") -> bytes:
    digest = hashlib.new(algorithm, message).digest()
    data = b"SSHSIG" + field(namespace) + field(b"") + field(algorithm) + field(digest)
    head = b"SSHSIG" + (1).to_bytes(4, "big")
    rest = field(signer.public) + field(namespace) + field(b"") + field(algorithm) + field(signer.sign(data))
    return head + rest


KEYS = (ed25519, security_key, nistp256, nistp384, nistp521, ecdsa_security_key, rsa_key)
"""One of each kind that may sign."""


def armour(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = "".join(text[at : at + 70] + "\n" for at in range(0, len(text), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n"


def envelope(signer: Signer, document: OutreachDecision | dict[str, object]) -> DecisionEnvelope:
    plain = document if isinstance(document, dict) else document.document()
    return DecisionEnvelope(document=plain, signature=armour(blob(signer, canonical(plain))))


def proposal() -> Proposal:
    return Proposal(
        environment="production",
        outreach="outreach/late_delivery/2026-03-01/1",
        revision=2,
        playbook="late_delivery",
        playbook_version="5f" * 32,
        steps={
            "initial": StepBinding(templates={"sms.en": "aa" * 32, "email.en": "bb" * 32}, facts="frozen"),
            "update-1": StepBinding(
                templates={"sms.en": "cc" * 32},
                facts="refreshed",
                fields={"days_late": {"type": "integer", "min": 0, "max": 30}, "note": {"type": "text", "max": None}},
            ),
        },
        audience_root="dd" * 32,
        audience_count=1_234,
        channels={"sms": 1_000, "email": 234},
        purpose="service",
        promises={"update-1": NOON + timedelta(days=1)},
        decide_by=NOON + timedelta(hours=4),
        valid_until=NOON + timedelta(days=2),
        nonce="n-0001",
    )
