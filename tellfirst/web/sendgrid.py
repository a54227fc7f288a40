"""SendGrid's event webhook: batches signed with ECDSA, kept before they are acknowledged and worked off behind it."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field, JsonValue, TypeAdapter
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen
from tellfirst.domain.receipt import Receipt
from tellfirst.errors import SettingsError
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.receipts import Receipts
from tellfirst.web.bodies import LARGE, read_body, read_json
from tellfirst.web.openapi import described
from tellfirst.web.postings import Said, checked
from tellfirst.web.signatures import ANSWERS, timely

PATH = "/sendgrid/events"
PROVIDER = "sendgrid"
SIGNATURE, TIMESTAMP = (f"X-Twilio-Email-Event-Webhook-{name}" for name in ("Signature", "Timestamp"))
DROPPED = {
    "bounced address": "bounced",
    "unsubscribed address": "unsubscribed",
    "spam reporting address": "spam_reported",
    "invalid": "invalid",
}
"""Why SendGrid dropped a mail, in its words and in ours; its other words may hold anything."""

APPLES = "Mozilla/5.0"
"""All that Apple's proxies call themselves; where links are served over our own host SendGrid knows them no more."""

_RECEIPTS = TypeAdapter(tuple[Receipt, ...])
_CODE = re.compile(r"\d\.\d{1,3}\.\d{1,3}")


class SendGridEvent(Frozen):
    """Is one event, as far as we read it; its address, text and links are not kept."""

    event: Said = ""
    sg_message_id: Said = ""
    send_id: Said = ""
    type: Said = ""
    status: Said = ""
    reason: Said = ""
    useragent: Said = ""
    sg_machine_open: JsonValue = None


class SendGridEvents(Frozen):
    """Is one batch."""

    events: tuple[SendGridEvent, ...] = Field(max_length=10_000)


def sendgrid_events(
    arrivals: Arrivals, *, keys: Sequence[str], clock: Callable[[], datetime], wake: Callable[[str], None]
) -> APIRouter:
    """Returns the route to which SendGrid reports; `keys` are its public keys as its settings show them."""
    router, readers = APIRouter(), [read_key(key) for key in keys]

    @router.post(
        PATH,
        status_code=204,
        response_class=Response,
        responses=ANSWERS,
        openapi_extra=described(list[SendGridEvent], headers=(SIGNATURE, TIMESTAMP)),
    )
    async def post_sendgrid_events(request: Request) -> None:
        if not readers:
            raise HTTPException(503, "this needs TELLFIRST_SENDGRID_KEYS; see docs/channels.md")
        body, now = await read_body(request, "application/json", limit=LARGE), clock()
        signature, at = (request.headers.get(name, "") for name in (SIGNATURE, TIMESTAMP))
        if not (timely(at, now) and any(fits(key, at, body, signature) for key in readers)):
            raise HTTPException(403, "the signature does not fit, or is stale; check TELLFIRST_SENDGRID_KEYS")
        posted = checked(SendGridEvents, {"events": read_json(body)})
        receipts = [receipt for event in posted.events if (receipt := read_event(event)) is not None]
        kept = {"receipts": _RECEIPTS.dump_python(tuple(receipts), mode="json")}
        # The same batch again is the same work; the same event in another batch is the same receipt.
        await run_in_threadpool(arrivals.keep, PROVIDER, hashlib.sha256(body).hexdigest(), kept, now=now)
        wake(PROVIDER)

    return router


def take_events(body: Mapping[str, Any], receipts: Receipts, *, now: datetime) -> None:
    """Takes the receipts of a kept batch."""
    for receipt in _RECEIPTS.validate_python(body["receipts"]):
        receipts.take(receipt, now=now)


def read_event(event: SendGridEvent) -> Receipt | None:
    """Returns the receipt of an event, None for one that is about no message; the send id is a custom argument.

    A mail is known by our id where the event names it: one id of SendGrid's is that of a whole request.
    """
    provider_id = event.send_id or event.sg_message_id.partition(".")[0]
    if not (provider_id and event.event):
        return None
    status, error = event.event[:32], event.status if _CODE.fullmatch(event.status) else ""
    if status == "bounce" and event.type == "blocked":
        status = "blocked"
    elif status == "open" and (event.sg_machine_open is True or event.useragent.strip() == APPLES):
        status = "machine_open"
    elif status == "dropped":
        error = DROPPED.get(event.reason.strip().lower(), "other")
    return Receipt(provider=PROVIDER, provider_id=provider_id[:64], status=status, error=error, send=event.send_id[:64])


def read_key(text: str) -> EllipticCurvePublicKey:
    """Returns a public key, base64 of DER without armour; raises SettingsError for anything else."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        key = None
    if not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        raise SettingsError(
            "a key of SendGrid's is not one",
            where="TELLFIRST_SENDGRID_KEYS",
            remedy="copy the verification key from its Signed Event Webhook settings",
        )
    return key


def fits(key: EllipticCurvePublicKey, at: str, body: bytes, signature: str) -> bool:
    """Returns whether a signature is over this instant and body, byte by byte."""
    try:
        key.verify(base64.b64decode(signature, validate=True), at.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
