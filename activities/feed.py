"""The feed: other systems are told what happens, each event until it is acknowledged."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime
from temporalio import activity

from activities.clock import AttemptClock
from activities.failures import later, told_plainly
from tellfirst.channels.feed_file import Endpoint
from tellfirst.channels.webhook import Delivery
from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import VERSION
from tellfirst.store.feed import Feed, FeedEvent, Tried

SHIFT = timedelta(minutes=10)
"""How long one activity tells before it hands over to the next, so that no history grows."""
TOGETHER = 8
"""Requests to one system at once, each about another customer."""
LOOK_EVERY = 1.0
"""Seconds after which it looks again when there was nothing to tell."""
LONGEST_PAUSE = timedelta(minutes=5)
LONGEST_REFUSAL = timedelta(hours=1)
PARK_AFTER = timedelta(days=3)
"""How long an event may fail that the receiver refuses, or alone does not take, before people are told instead."""
REFUSALS = frozenset({"400", "405", "406", "409", "410", "411", "413", "414", "415", "422", "431"})
"""Statuses that are about this event; a receiver that answers anything else may be well again later."""


class FeedRequest(Frozen):
    """Asks to tell one system; people were told of what was parked until `told`."""

    endpoint: str
    told: AwareDatetime | None = None


class FeedReport(Frozen):
    """Says why telling has paused: the system is no longer to be told, or an event was parked at `parked`."""

    gone: bool = False
    parked: AwareDatetime | None = None


class FeedActivities:
    """Tells other systems; several workers may, and the same event then has the same id."""

    def __init__(self, *, feed: Feed, endpoints: Mapping[str, Endpoint], loop: asyncio.AbstractEventLoop) -> None:
        self._feed, self._endpoints, self._loop = feed, endpoints, loop

    @activity.defn(no_thread_cancel_exception=True)
    def tell_events(self, request: FeedRequest) -> FeedReport:
        """Tells what happens to one system, in order for each customer, until its shift is over."""
        with told_plainly():
            name, clock = request.endpoint, AttemptClock()
            if not self._feed.registered(name):
                return FeedReport(gone=True)
            if (endpoint := self._endpoints.get(name)) is None:
                raise later("NotHere", "another worker has this endpoint in its file", timedelta(seconds=5))
            self._feed.tidy(name, now=clock.now())
            until, failures = clock.now() + SHIFT, 0
            while clock.now() < until and not activity.is_cancelled():
                _rest(0)
                # While nothing gets through one request is enough to see whether that has changed.
                waiting = self._feed.due(name, now=clock.now(), limit=1 if failures else TOGETHER)
                if not waiting:
                    _rest(LOOK_EVERY)
                    continue
                deliveries = self._on_loop(endpoint, waiting, clock.now())
                now = clock.now()
                tried = [_tried(*one, now) for one in zip(waiting, deliveries, strict=True)]
                self._feed.settle(name, tried, now=now, park_after=PARK_AFTER)
                if (parked := self._feed.parked_at(name)) != request.told and parked is not None:
                    return FeedReport(parked=parked)
                if any(one.acknowledged or one.refused for one in tried):
                    failures = 0
                else:
                    failures += 1
                    _rest(max(_pause(failures).total_seconds(), *(d.retry_after or 0 for d in deliveries)))
            return FeedReport(parked=request.told)

    def _on_loop(self, endpoint: Endpoint, events: Sequence[FeedEvent], now: datetime) -> list[Delivery]:
        async def all_of_them() -> list[Delivery]:
            return await asyncio.gather(*(endpoint.hook.deliver(e.id, body_of(e), now=now) for e in events))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()


def body_of(event: FeedEvent) -> bytes:
    """Returns an event as it travels, the same for every attempt."""
    data = {"customer": event.customer, **event.data} if event.customer else event.data
    body = {"type": event.type, "version": VERSION, "timestamp": event.at.isoformat(), "data": data}
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _tried(event: FeedEvent, delivery: Delivery, now: datetime) -> Tried:
    if delivery.acknowledged:
        return Tried(number=event.number, acknowledged=True, detail=delivery.detail)
    refused = delivery.detail in REFUSALS
    pause = _pause(event.attempts + 1, LONGEST_REFUSAL if refused else LONGEST_PAUSE)
    wait = timedelta(seconds=delivery.retry_after or 0)
    return Tried(
        number=event.number,
        acknowledged=False,
        detail=delivery.detail,
        refused=refused,
        next_at=now + max(pause, wait),
    )


def _pause(times: int, longest: timedelta = LONGEST_PAUSE) -> timedelta:
    return min(timedelta(seconds=2 ** min(times - 1, 20)), longest)


def _rest(seconds: float) -> None:
    """Waits, says now and then that it lives, and stops where the worker does or telling is called off."""
    while True:
        activity.heartbeat()
        activity.wait_for_worker_shutdown_sync(timeout=min(seconds, LOOK_EVERY))
        if activity.is_worker_shutdown():
            raise later("ShuttingDown", "this worker is stopping", timedelta(seconds=1))
        seconds -= LOOK_EVERY
        if seconds <= 0 or activity.is_cancelled():
            return
