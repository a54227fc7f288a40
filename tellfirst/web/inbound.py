"""Texts and WhatsApp messages that customers send back, as Twilio hands them on."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from tellfirst.policy.optout import Wish
from tellfirst.policy.replies import Replies as Reader
from tellfirst.store.replies import ESCALATION, Incoming, Replies
from tellfirst.web.signatures import ANSWERS
from tellfirst.web.twilio_forms import FORMS, TwilioForms

PATH = "/twilio/inbound"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Answers nothing: what the carrier answers by itself is answered already."""
TEXT_LIMIT = 10_000
_UNDERSTOOD = {"STOP": Wish.OPT_OUT, "START": Wish.OPT_IN, "HELP": Wish.HELP}
_WHATSAPP = "whatsapp:"


def twilio_replies(
    replies: Replies,
    reader: Reader,
    forms: TwilioForms,
    *,
    clock: Callable[[], datetime],
    wake: Callable[[str], None],
) -> APIRouter:
    """Returns the route to which Twilio hands on what customers write."""
    router = APIRouter()

    @router.post(PATH, response_class=Response, responses=ANSWERS, openapi_extra=FORMS)
    async def post_twilio_inbound(request: Request) -> Response:
        form = await forms.read(request, PATH)
        message, sender = form.get("MessageSid") or form.get("SmsSid", ""), form.get("From", "")
        if not (message and sender):
            raise HTTPException(400, "a message names a MessageSid and a From")
        text = form.get("Body", "").replace("\x00", "")[:TEXT_LIMIT]
        incoming = Incoming(
            id=f"twilio:{message}",
            channel="whatsapp" if sender.startswith(_WHATSAPP) else "sms",
            address=sender.removeprefix(_WHATSAPP)[:100],
            text=text,
            refers=tuple(filter(None, [form.get("OriginalRepliedMessageSid", "")])),
        )
        # Where Twilio acts on words by itself (Advanced Opt-Out) it says what it understood.
        said = _UNDERSTOOD.get(form.get("OptOutType", "").upper())
        reading = reader.read(text, said=said, carrier=incoming.channel == "sms")
        await run_in_threadpool(replies.take, incoming, reading, now=clock())
        wake(ESCALATION)
        return Response(EMPTY, media_type="text/xml")

    return router
