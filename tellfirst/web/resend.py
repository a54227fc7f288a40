"""Resend's events, which are Standard Webhooks under other header names."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen
from tellfirst.domain.receipt import Receipt
from tellfirst.store.receipts import Receipts
from tellfirst.web.bodies import read_json
from tellfirst.web.openapi import described
from tellfirst.web.postings import checked
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/resend/events"
PROVIDER = "resend"
TAG = "send_id"


class ResendEvent(Frozen):
    """Is one event, as far as we read it; its addresses and subject are not kept."""

    class Data(Frozen):
        """Is what the event is about."""

        class Bounce(Frozen):
            """Says whether a bounce is for good."""

            type: str = ""

        email_id: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")
        tags: dict[str, Any] = Field(default_factory=dict)
        bounce: Bounce | None = None

    type: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")
    data: Data


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
        send, bounce = event.data.tags.get(TAG), event.data.bounce
        receipt = Receipt(
            provider=PROVIDER,
            provider_id=event.data.email_id,
            status=event.type[:32],
            error=bounce.type[:16] if bounce and bounce.type.isalpha() else "",
            send=send[:64] if isinstance(send, str) else "",
        )
        await run_in_threadpool(receipts.take, receipt, now=clock())

    return router
