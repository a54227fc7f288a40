"""Push receipts: what the app on the device did with a message, signed by the app's own backend."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Outside
from tellfirst.domain.receipt import Receipt
from tellfirst.store.receipts import Receipts
from tellfirst.web.openapi import PLAIN_OR_EVENT, described
from tellfirst.web.postings import checked, read_posted
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/push/receipts"
PROVIDER = "fcm"


class PushReceipt(Outside):
    """Is what a device did with the message whose data held this `send` id."""

    send: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    status: Literal["received", "opened", "dismissed"]


class PushReceipts(Outside):
    """Is what the app's backend posts."""

    receipts: tuple[PushReceipt, ...] = Field(min_length=1, max_length=100)


def push_receipts(receipts: Receipts, verifier: Verifier, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which the app's backend reports."""
    router = APIRouter()

    @router.post(
        PATH, status_code=204, response_class=Response, responses=ANSWERS,
        openapi_extra=described(PushReceipts, *PLAIN_OR_EVENT),
    )  # fmt: skip
    async def post_push_receipts(request: Request) -> None:
        signed = await verifier.read(request, *PLAIN_OR_EVENT)
        posted, now = checked(PushReceipts, read_posted(request, signed.body)[1]), clock()
        for one in posted.receipts:
            receipt = Receipt(provider=PROVIDER, provider_id=one.send, send=one.send, status=one.status)
            await run_in_threadpool(receipts.take, receipt, now=now)

    return router
