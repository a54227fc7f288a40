"""Operational and product events as other systems post them, kept as they were told."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field, JsonValue
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen, Outside
from tellfirst.store.events import Events, Happened
from tellfirst.web.openapi import PLAIN_OR_EVENT, described
from tellfirst.web.postings import Moment, Opaque, checked, read_posted
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/events"


class PostedEvent(Outside):
    """Is one event; `source` and `id` make it one. Who names the `customer` lets it be erased with them."""

    source: Opaque
    id: Opaque
    type: Opaque
    occurred_at: Moment
    subject: Opaque | None = None
    customer: Opaque | None = None
    data: dict[str, JsonValue] = Field(default_factory=dict)


class PostedEvents(Outside):
    """Is what another system posts: events, in any order."""

    events: tuple[PostedEvent, ...] = Field(min_length=1, max_length=500)


class Kept(Frozen):
    """Counts what was new; what was known by its id stays as it is."""

    new: int


EVENT_API = described(PostedEvents, *PLAIN_OR_EVENT, data=dict[str, JsonValue])


def event_routes(events: Events, verifier: Verifier, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which systems post what happened, plain or one CloudEvent at a time."""
    router = APIRouter()

    @router.post(PATH, responses=ANSWERS, openapi_extra=EVENT_API)
    async def post_events(request: Request) -> Kept:
        signed = await verifier.read(request, *PLAIN_OR_EVENT)
        if "ce-type" in request.headers:
            raise HTTPException(415, "post a CloudEvent in structured mode: headers are not signed")
        about, value = read_posted(request, signed.body)
        if about is not None:
            event = {"source": about.source, "id": about.id, "type": about.type, "occurred_at": about.time}
            event |= {"subject": about.subject or None, "customer": about.customer}
            value = {"events": [{**event, "data": {} if value is None else value}]}
        posted = checked(PostedEvents, value)
        made = [Happened(subject=one.subject or "", **one.model_dump(exclude={"subject"})) for one in posted.events]
        return Kept(new=await run_in_threadpool(events.keep, made, now=clock()))

    return router
