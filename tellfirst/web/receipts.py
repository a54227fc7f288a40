"""Delivery receipts from Twilio, of messages and calls: verified, kept raw, and folded into the state of their send."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response

from tellfirst.domain.receipt import Receipt
from tellfirst.store.receipts import Receipts
from tellfirst.web.gathering import Gathering
from tellfirst.web.signatures import ANSWERS
from tellfirst.web.twilio_forms import FORMS, TwilioForms

PATH = "/twilio/status"
PROVIDER = "twilio"


def twilio_receipts(receipts: Receipts, forms: TwilioForms, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which Twilio reports; our id for the message is the `d` of the address it was given."""
    router, gathering = APIRouter(), Gathering(receipts, clock=clock)

    @router.post(PATH, status_code=204, response_class=Response, responses=ANSWERS, openapi_extra=FORMS)
    async def post_twilio_status(request: Request, d: str = "") -> None:
        form = await forms.read(request, PATH)
        message, word = form.get("MessageSid") or form.get("SmsSid", ""), form.get("MessageStatus", "")
        message, word = (message, word) if message else (form.get("CallSid", ""), form.get("CallStatus", ""))
        if not (_plain(message) and _plain(word)):
            raise HTTPException(400, "a receipt names a MessageSid and a MessageStatus, or a CallSid and a CallStatus")
        error = form.get("ErrorCode", "")
        receipt = Receipt(
            provider=PROVIDER,
            provider_id=message[:64],
            status=word[:32],
            error=error[:16] if _plain(error) else "",
            send=d[:64] if _plain(d) else "",
        )
        await gathering.take(receipt)

    return router


def _plain(word: str) -> bool:
    return bool(word) and word.isascii() and word.isprintable()
