"""Conditions as other systems post them: acknowledged once they are kept, and told to Temporal from there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tellfirst import contract
from tellfirst.client import OutreachClient, refuse_addresses
from tellfirst.domain.base import Frozen, Outside
from tellfirst.domain.condition import Condition, Key, Word
from tellfirst.errors import ConditionError
from tellfirst.store.arrivals import Arrivals
from tellfirst.web.openapi import PLAIN_OR_EVENT, described
from tellfirst.web.postings import checked, read_posted
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/conditions"
SOURCE = "conditions"


class ConditionNews(Outside):
    """Says that a known condition changed or is over; the same `event_id` counts once, by default the webhook's."""

    event: Literal["condition_changed", "condition_cleared"]
    trigger: Word
    key: Key
    episode: int = Field(default=1, ge=1)
    event_id: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=500)


class Acknowledged(Frozen):
    """Names the outreach that is started or told, whether or not Temporal answers now."""

    outreach: str


def condition_routes(
    arrivals: Arrivals, verifier: Verifier, *, clock: Callable[[], datetime], wake: Callable[[str], None]
) -> APIRouter:
    """Returns the route to which systems post conditions, and news of them."""
    router = APIRouter()

    @router.post(
        PATH, status_code=202, responses=ANSWERS, openapi_extra=described(Condition | ConditionNews, *PLAIN_OR_EVENT)
    )
    async def post_condition(request: Request) -> Acknowledged:
        signed = await verifier.read(request, *PLAIN_OR_EVENT)
        about, value = read_posted(request, signed.body)
        news = isinstance(value, dict) and "event" in value
        posted = checked(ConditionNews, value) if news else checked(Condition, value)
        outreach = contract.outreach_id(posted.trigger, posted.key, posted.episode)
        if isinstance(posted, Condition):
            try:
                refuse_addresses(posted)
            except ConditionError as error:
                raise HTTPException(422, str(error)) from None
            key, body = outreach, posted.model_dump(mode="json")
        else:
            id_ = posted.event_id or (about.id if about else signed.id)[:200]
            key, body = f"{posted.event}/{outreach}/{id_}", posted.model_dump(mode="json") | {"event_id": id_}
        await run_in_threadpool(arrivals.keep, SOURCE, key, body, now=clock())
        wake(SOURCE)
        return Acknowledged(outreach=outreach)

    return router


async def tell_temporal(body: Mapping[str, Any], client: OutreachClient) -> None:
    """Starts the outreach of a kept condition, or signals the news of it."""
    if "event" not in body:
        await client.start(Condition.model_validate(body))
        return
    news = ConditionNews.model_validate(body)
    outreach = contract.outreach_id(news.trigger, news.key, news.episode)
    await client.tell(outreach, news.event, event_id=news.event_id, note=news.note)
