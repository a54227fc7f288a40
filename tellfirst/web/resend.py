"""Resend's events, which are Standard Webhooks under other header names."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import Field, JsonValue, TypeAdapter
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen
from tellfirst.domain.receipt import Receipt
from tellfirst.store.receipts import Receipts
from tellfirst.web.bodies import read_json
from tellfirst.web.openapi import described
from tellfirst.web.postings import Said, checked
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/resend/events"
PROVIDER = "resend"
TAG = "send_id"
SAID: TypeAdapter[str] = TypeAdapter(Said)


class ResendData(Frozen):
    """Is what an event is about, as far as we read it; its addresses and subject are not kept."""

    email_id: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")
    tags: JsonValue = None
    bounce: JsonValue = None


class ResendEvent(Frozen):
    """Is one event."""

    type: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")
    data: ResendData


def resend_events(receipts: Receipts, verifier: Verifier, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which Resend reports."""
    router = APIRouter()

    @router.post(
        PATH,
        status_code=204,
        response_class=Response,
        responses=ANSWERS,
        openapi_extra=described(ResendEvent, headers=("svix-id", "svix-timestamp", "svix-signature")),
    )
    async def post_resend_event(request: Request) -> None:
        signed = await verifier.read(request)
        value = read_json(signed.body)
        # Of contacts and domains, which are no messages, nothing is kept.
        if isinstance(value, dict) and not str(value.get("type", "")).startswith("email."):
            return
        event = checked(ResendEvent, value)
        receipt = Receipt(
            provider=PROVIDER,
            provider_id=event.data.email_id,
            status=event.type[:32],
            error=_word(event.data.bounce, "type")[:16],
            send=_word(event.data.tags, TAG)[:64],
        )
        await run_in_threadpool(receipts.take, receipt, now=clock())

    return router


def _word(value: JsonValue, name: str) -> str:
    """Returns one word of an object, or of a list of names and values, which Resend's tags are too."""
    if isinstance(value, list):
        value = {str(one.get("name")): one.get("value") for one in value if isinstance(one, dict)}
    return SAID.validate_python(value.get(name)) if isinstance(value, dict) else ""
