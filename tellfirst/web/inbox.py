"""The in-app inbox for a customer's own app: list, mark, and hear at once that something changed."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import AwareDatetime
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tellfirst.channels.in_app import NAME
from tellfirst.domain.base import Frozen
from tellfirst.store.engine import DatabaseError
from tellfirst.store.inbox import Inbox, Mark, Standing, Status
from tellfirst.store.receipts import Receipt, Receipts

PREFIX = "/inbox/"
HEADER = "X-Tellfirst-Inbox"
LOOK_EVERY = 2.0
"""Seconds after which a stream looks again whether something changed."""
HEARTBEAT = 15
"""Seconds between the comments that keep an idle stream open through proxies."""
STREAMS = 1_000
"""Streams that one process keeps open: each asks the database every LOOK_EVERY seconds."""
TOLD: dict[Mark, tuple[str, ...]] = {"seen": ("delivered",), "read": ("read",), "clicked": ("read", "clicked")}
"""The words of the receipts that a mark is."""


class Item(Frozen):
    """Is one message as the app shows it; `id` is to be given back when the customer does something with it."""

    id: int
    subject: str
    body: str
    locale: str
    created_at: AwareDatetime
    seen_at: AwareDatetime | None
    read_at: AwareDatetime | None
    clicked_at: AwareDatetime | None
    archived_at: AwareDatetime | None


class Listing(Frozen):
    """Is one page of an inbox, the newest first; `next` is the cursor of the page behind it, null at the end."""

    items: tuple[Item, ...]
    unseen: int
    unread: int
    next: str | None


class Counts(Frozen):
    """Counts what the badge shows."""

    unseen: int
    unread: int


def inbox_token(secret: bytes, customer: str) -> str:
    """Returns what proves that whoever shows it may read the inbox of a customer; made by the app's own backend."""
    return hmac.new(secret, customer.encode(), hashlib.sha256).hexdigest()


def inbox_routes(
    inbox: Inbox, receipts: Receipts, *, secret: str, clock: Callable[[], datetime], look_every: float = LOOK_EVERY
) -> APIRouter:
    """Returns the routes of the inbox; without `secret` they say what is missing."""
    streams = 0

    def who(request: Request, customer: str, token: Annotated[str, Query(max_length=128)] = "") -> str:
        if not secret:
            raise HTTPException(503, "the inbox needs TELLFIRST_INBOX_SECRET; see docs/channels.md")
        shown = request.headers.get(HEADER) or token
        if not hmac.compare_digest(inbox_token(secret.encode(), customer).encode(), shown.encode()):
            raise HTTPException(401, f"{HEADER} is not the token of this customer; see docs/channels.md")
        return customer

    router = APIRouter(
        prefix=PREFIX + "{customer}", tags=["inbox"], dependencies=[Depends(_private)], responses=ANSWERS
    )

    @router.get("")
    def items(
        customer: Annotated[str, Depends(who)],
        status: Status = "all",
        cursor: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Listing:
        """Lists the messages of a customer."""
        now = clock()
        found = inbox.items(customer, status=status, now=now, limit=limit + 1, before=cursor)
        shown, standing = found[:limit], inbox.standing(customer, now=now)
        return Listing(
            items=tuple(Item.model_validate(item.model_dump()) for item in shown),
            unseen=standing.unseen,
            unread=standing.unread,
            next=str(shown[-1].id) if len(found) > limit else None,
        )

    @router.get("/stream", response_class=EventSourceResponse)
    async def stream(customer: Annotated[str, Depends(who)], request: Request) -> EventSourceResponse:
        """Tells, as server-sent events, that there is something new; what it is, the app asks for."""
        if streams >= STREAMS:
            raise HTTPException(503, "too many streams are open; list the inbox instead", {"Retry-After": "60"})
        known = request.headers.get("last-event-id", "")
        return EventSourceResponse(changes(customer, known), ping=HEARTBEAT)

    async def changes(customer: str, known: str) -> AsyncIterator[ServerSentEvent]:
        nonlocal streams
        streams += 1
        try:
            while True:
                standing = await run_in_threadpool(inbox.standing, customer, now=clock())
                if standing.cursor != known:
                    yield _event(standing, known)
                    known = standing.cursor
                await asyncio.sleep(look_every)
        except DatabaseError:
            return  # the app connects again, with the cursor it has
        finally:
            streams -= 1

    @router.post("/seen")
    def all_seen(customer: Annotated[str, Depends(who)]) -> Counts:
        """Marks everything as seen, as when the customer opens the inbox."""
        return marked(customer, None, "seen")

    @router.post("/{item}/{mark}")
    def one(customer: Annotated[str, Depends(who)], item: Annotated[int, Path(ge=1, lt=2**31)], mark: Mark) -> Counts:
        """Marks one message; repeating changes nothing, and nothing is undone."""
        return marked(customer, item, mark)

    def marked(customer: str, item: int | None, mark: Mark) -> Counts:
        now = clock()
        sends = inbox.mark(customer, item, mark, now=now)
        if item is not None and not sends:
            raise HTTPException(404, "there is no such message in this inbox")
        for word in TOLD.get(mark, ()):
            for send in sends:
                receipts.take(Receipt(provider=NAME, provider_id=send, status=word, send=send), now=now)
        standing = inbox.standing(customer, now=now)
        return Counts(unseen=standing.unseen, unread=standing.unread)

    return router


ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The token is not that of this customer."},
    404: {"description": "There is no such message in this inbox."},
    503: {"description": "The installation has no secret for inboxes, or too many streams are open."},
}


class InboxOrigins:
    """Lets pages of these origins, and of no other, use the inbox from a browser."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._plain = app
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=[HEADER, "Last-Event-ID"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        ours = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._shared if ours else self._plain)(scope, receive, send)


def _private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


def _event(standing: Standing, known: str) -> ServerSentEvent:
    newest = known.partition(".")[0]
    new = newest.isascii() and newest.isdigit() and standing.latest > int(newest)
    name: Literal["new-message", "changed"] = "new-message" if new else "changed"
    counts = Counts(unseen=standing.unseen, unread=standing.unread)
    return ServerSentEvent(counts.model_dump_json(), event=name, id=standing.cursor)
