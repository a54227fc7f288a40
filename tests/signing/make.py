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


def nistp256() -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    encoded = b"\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    public = field("ecdsa-sha2-nistp256") + field("nistp256") + field(encoded)

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return field("ecdsa-sha2-nistp256") + field(number(r) + number(s))

    return Signer(public, sign)


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
