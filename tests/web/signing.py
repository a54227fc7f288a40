"""Signs requests as those do who post to us, each by its own library."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import standardwebhooks
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from twilio.request_validator import RequestValidator

PUBLIC = "https://hooks.example.org/tellfirst"
TOKEN = "0123456789abcdef"
KEY = "k" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRETS = {
    name: "whsec_" + base64.b64encode(name.encode().ljust(24, b"x")).decode()
    for name in ("contacts", "events", "conditions", "replies", "push", "resend")
}
SENDGRID = ec.generate_private_key(ec.SECP256R1())


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Returns a key as SendGrid's settings show it."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(*form)).decode()


def given() -> dict[str, Any]:
    """Returns the settings under which everything that is signed here fits."""
    secrets = {f"{name}_secrets": secret for name, secret in SECRETS.items()}
    return {
        "public_url": PUBLIC,
        "twilio_auth_token": TOKEN,
        "sendgrid_keys": public_key(SENDGRID),
        "secret": KEY,
        **secrets,
    }


def webhook(
    body: bytes, secret: str, *, id_: str = "msg_1", at: datetime = NOON, names: str = "webhook"
) -> dict[str, str]:
    """Returns the headers of a Standard Webhook."""
    signature = standardwebhooks.Webhook(secret).sign(id_, at.astimezone(UTC), body.decode())
    return {
        f"{names}-id": id_,
        f"{names}-timestamp": str(int(at.timestamp())),
        f"{names}-signature": signature,
        "content-type": "application/json",
    }


def sendgrid(body: bytes, *, key: ec.EllipticCurvePrivateKey = SENDGRID, at: datetime = NOON) -> dict[str, str]:
    """Returns the headers of a batch of SendGrid's."""
    timestamp = str(int(at.timestamp()))
    signature = base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    names = "X-Twilio-Email-Event-Webhook-"
    return {f"{names}Signature": signature, f"{names}Timestamp": timestamp, "content-type": "application/json"}


def twilio(path: str, form: dict[str, str], *, token: str = TOKEN, base: str = PUBLIC) -> tuple[bytes, dict[str, str]]:
    """Returns the body and headers of a callback of Twilio's."""
    signature = RequestValidator(token).compute_signature(base + path, form)
    return urlencode(form).encode(), {
        "X-Twilio-Signature": signature,
        "content-type": "application/x-www-form-urlencoded",
    }


def as_json(value: object) -> bytes:
    """Returns a value as it is posted."""
    return json.dumps(value).encode()
