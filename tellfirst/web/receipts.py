"""Delivery receipts from Twilio, of messages and calls: verified, kept raw, and folded into the state of their send."""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellfirst.domain.receipt import Receipt
from tellfirst.store.engine import DatabaseError
from tellfirst.web.bodies import FORM, PATIENCE, SMALL
from tellfirst.web.gathering import Gathering
from tellfirst.web.signatures import ANSWERS
from tellfirst.web.twilio_forms import FORMS, TwilioForms

PATH = "/twilio/status"
PROVIDER = "twilio"


def twilio_receipts(gathering: Gathering, forms: TwilioForms) -> APIRouter:
    """Returns the route to which Twilio reports; our id for the message is the `d` of the address it was given."""
    router = APIRouter()

    @router.post(PATH, status_code=204, response_class=Response, responses=ANSWERS, openapi_extra=FORMS)
    async def post_twilio_status(request: Request, d: str = "") -> None:
        receipt = read_receipt(await forms.read(request, PATH), d)
        if receipt is None:
            raise HTTPException(400, "a receipt names a MessageSid and a MessageStatus, or a CallSid and a CallStatus")
        await gathering.take(receipt)

    return router


class ReceiptDoor:
    """Takes the receipts with which nothing is wrong before the framework, at a third of its processor time.

    Everything else goes on to the route as it came, and that says what is wrong with it.
    """

    def __init__(self, app: ASGIApp, *, gathering: Gathering, forms: TwilioForms) -> None:
        self._app, self._gathering, self._forms = app, gathering, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            messages = await _soon(receive)
            receive = _again(messages, receive)
            if (receipt := self._read(scope, messages)) is not None and await self._taken(receipt):
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)

    async def _taken(self, receipt: Receipt) -> bool:
        try:
            await self._gathering.take(receipt)
        except DatabaseError:
            return False  # the route tries once more, and says so
        return True

    def _read(self, scope: Scope, messages: Sequence[Message]) -> Receipt | None:
        body, headers = _joined(messages), dict(scope["headers"])
        last = messages[-1] if messages else {"more_body": True}
        whole = last.get("type") == "http.request" and not last.get("more_body") and len(body) <= SMALL
        type_ = headers.get(b"content-type", b"").partition(b";")[0]
        signature = headers.get(b"x-twilio-signature", b"")
        if not whole or type_ != FORM.encode():
            return None
        fields = parse_qs(body.decode("latin-1"), keep_blank_values=True)
        query = scope["query_string"].decode("latin-1")
        if not self._forms.fits(self._forms.address(PATH, query), fields, signature.decode("latin-1")):
            return None
        sends = parse_qs(query).get("d", [""])
        return read_receipt({name: values[-1] for name, values in fields.items()}, sends[-1])


def read_receipt(form: Mapping[str, str], send: str) -> Receipt | None:
    """Returns the receipt in the fields of a form, None where they name no message or no status."""
    message, word = form.get("MessageSid") or form.get("SmsSid", ""), form.get("MessageStatus", "")
    message, word = (message, word) if message else (form.get("CallSid", ""), form.get("CallStatus", ""))
    if not (_plain(message) and _plain(word)):
        return None
    error = form.get("ErrorCode", "")
    return Receipt(
        provider=PROVIDER,
        provider_id=message[:64],
        status=word[:32],
        error=error[:16] if _plain(error) else "",
        send=send[:64] if _plain(send) else "",
    )


def _plain(word: str) -> bool:
    return bool(word) and word.isascii() and word.isprintable()


async def _soon(receive: Receive) -> list[Message]:
    """Returns the messages of a small body, or as many of them as came in time: the route waits for the rest."""
    messages: list[Message] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not messages or (messages[-1].get("more_body") and len(_joined(messages)) <= SMALL):
                messages.append(await receive())
    except TimeoutError:
        pass
    return messages


def _joined(messages: Sequence[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)


def _again(messages: Sequence[Message], receive: Receive) -> Receive:
    """Returns what gives these messages once more, and then what comes."""
    given = iter(messages)

    async def next_message() -> Message:
        return next(given, None) or await receive()

    return next_message
