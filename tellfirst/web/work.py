"""Work behind the acknowledgement: what was kept is told to Temporal, or taken apart, until it is done."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from tellfirst.client import OutreachClient
from tellfirst.errors import NotFoundError, TellfirstError, UnreachableError
from tellfirst.store.arrivals import Arrival, Arrivals
from tellfirst.store.engine import DatabaseError

Handler = Callable[[Mapping[str, Any], OutreachClient], Awaitable[None]]
"""Does the work of one post; it may be done twice, so it must be work that changes nothing the second time."""
LEASE = timedelta(minutes=2)
"""How long one process may work on a post before another takes it."""
LONGEST_WAIT = timedelta(minutes=5)
NOT_FOUND_ATTEMPTS = 8
"""What is not there yet may be about to start; after so many tries it is not."""

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("tellfirst.web")


class Work:
    """Works off the posts of each source beside those of the others; `look_every` (seconds) finds what was retried."""

    def __init__(
        self,
        arrivals: Arrivals,
        handlers: Mapping[str, Handler],
        *,
        clock: Callable[[], datetime],
        look_every: float = 2.0,
    ) -> None:
        self._arrivals, self._handlers, self._clock, self._look_every = arrivals, handlers, clock, look_every
        self._woken = {source: asyncio.Event() for source in handlers}

    def wake(self, source: str) -> None:
        """Says that something has arrived."""
        self._woken[source].set()

    async def run(self, client: OutreachClient) -> None:
        """Works until it is cancelled; what is in work then is taken up again by another process, or the next."""
        await asyncio.gather(*(self._run(source, client) for source in self._handlers))

    async def work_off(self, source: str, client: OutreachClient) -> int:
        """Does all that is due of one source and returns how many posts that were, done or put off."""
        for count in range(1_000_000):
            arrival = await finished(self._arrivals.claim, source, now=self._clock(), within=LEASE)
            if arrival is None:
                return count
            await self._do(arrival, client)
        return count

    async def _run(self, source: str, client: OutreachClient) -> None:
        woken = self._woken[source]
        while True:
            woken.clear()
            try:
                await self.work_off(source, client)
            except Exception as error:
                # Whatever it is, the next look may find it mended; an error's text may hold a row's values.
                log.warning("what was posted to %s waits: %s", source, type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), self._look_every)

    async def _do(self, arrival: Arrival, client: OutreachClient) -> None:
        try:
            await self._handlers[arrival.source](arrival.body, client)
        except (DatabaseError, UnreachableError) as error:
            await self._put_off(arrival, type(error).__name__)
        except NotFoundError as error:
            if arrival.attempts < NOT_FOUND_ATTEMPTS:
                await self._put_off(arrival, type(error).__name__)
            else:
                await self._end(arrival, error.what)
        except TellfirstError as error:
            await self._end(arrival, error.what)  # it will be refused for ever
        except Exception as error:
            log.exception("the work of a post to %s failed", arrival.source)
            await self._put_off(arrival, type(error).__name__)
        else:
            await self._end(arrival, "")

    async def _put_off(self, arrival: Arrival, why: str) -> None:
        wait = min(timedelta(seconds=2 ** min(arrival.attempts, 12)), LONGEST_WAIT)
        log.warning("post %d to %s waits %d s: %s", arrival.id, arrival.source, wait.total_seconds(), why)
        await finished(self._arrivals.later, arrival.id, at=self._clock() + wait, error=why)

    async def _end(self, arrival: Arrival, error: str) -> None:
        if error:
            log.warning("post %d to %s is refused: %s", arrival.id, arrival.source, error)
        await finished(self._arrivals.done, arrival.id, at=self._clock(), error=error)


async def finished(do: Callable[P, T], *args: P.args, **how: P.kwargs) -> T:
    """Runs a statement or two in a thread; whoever is cancelled meanwhile leaves when that is done, and not before."""
    running = asyncio.ensure_future(run_in_threadpool(do, *args, **how))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
