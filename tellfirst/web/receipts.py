"""Delivery receipts from Twilio: verified, kept raw, and folded into the state of their send."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from twilio.request_validator import RequestValidator

from tellfirst.store.receipts import Receipt, Receipts
from tellfirst.web.bodies import FORM, read_body, read_form

PATH = "/twilio/status"
PROVIDER = "twilio"


def twilio_receipts(
    receipts: Receipts, *, public_url: str, auth_token: str, clock: Callable[[], datetime]
) -> APIRouter:
    """Returns the route to which Twilio reports; without `public_url` or `auth_token` it says what is missing."""
    router = APIRouter()
    base = public_url.rstrip("/")
    validator = RequestValidator(auth_token)

    @router.post(PATH, status_code=204, response_class=Response)
    async def status(request: Request) -> None:
        if not (base and auth_token):
            raise HTTPException(503, "receipts need TELLFIRST_PUBLIC_URL and TWILIO_AUTH_TOKEN; see docs/operations.md")
        form = read_form(await read_body(request, FORM))
        # What Twilio signed is the public address, and not the one a proxy made of it; the query as it was written.
        query = request.scope["query_string"].decode("latin-1")
        url = base + PATH + ("?" + query if query else "")
        if not validator.validate(url, form, request.headers.get("X-Twilio-Signature", "")):
            raise HTTPException(403, "the signature does not fit; check TELLFIRST_PUBLIC_URL and TWILIO_AUTH_TOKEN")
        message, word = form.get("MessageSid") or form.get("SmsSid", ""), form.get("MessageStatus", "")
        message, word = (message, word) if message else (form.get("CallSid", ""), form.get("CallStatus", ""))
        if not (message and word):
            raise HTTPException(400, "a receipt names a MessageSid and a MessageStatus, or a CallSid and a CallStatus")
        receipt = Receipt(
            provider=PROVIDER,
            provider_id=message[:64],
            status=word[:32],
            error=form.get("ErrorCode", "")[:16],
            send=request.query_params.get("d", "")[:64],
        )
        await run_in_threadpool(receipts.take, receipt, now=clock())

    return router


def take(receipts: Receipts, receipt: Receipt, *, now: datetime) -> None:
    """Keeps a receipt and moves its send."""
    receipts.take(receipt, now=now)
