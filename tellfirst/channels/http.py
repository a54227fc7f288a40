"""One HTTP request, tried once: no redirects, no retries, no environment, one deadline for the whole of it.

It speaks to a transport directly, a layer that writes no log lines with query strings, in which a look-up may have a
phone number. The transport is aiohttp's: with fifty connections httpx's own is some ten times slower. What went wrong
is an answer: only what ended before any byte was written is safe to repeat.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

LATEST = 2.0
"""Seconds after which no further request of a micro-batch begins: pause and opt-out act within one."""
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""The errors of reading an answer that is not what its provider describes: each is an answer all the same."""
NOTHING_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The errors that end a request before a byte of it was written."""


class Stopwatch:
    """Tells how late it has become since `now`, the instant of a call: what the gate read must not grow old."""

    def __init__(self, now: datetime) -> None:
        self._now, self._begun = now, time.monotonic()

    @property
    def is_late(self) -> bool:
        """Returns whether no further request of this micro-batch is to begin."""
        return time.monotonic() - self._begun > LATEST

    def overdue(self, message: Outbound) -> bool:
        """Returns whether less than a second is left of the time in which a message makes sense."""
        return (message.not_after - self._now).total_seconds() - (time.monotonic() - self._begun) < 1

    def slow(self, message: Outbound) -> Answer:
        """Returns the answer for a message that was not begun because the provider took its time for the others."""
        return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail="slow", retry_after=0.1)


class Unanswered(Frozen):
    """Says that no answer came: `not_sent` when nothing was written, `ambiguous` otherwise; `detail` is a class."""

    kind: AnswerKind
    detail: str


class HttpOnce:
    """Sends requests over at most `connections` connections; `timeout` (seconds) bounds each from start to end."""

    def __init__(self, *, timeout: float, connections: int) -> None:
        self._timeout = timeout
        # Waiting for a connection ends well before the whole does, so that "nothing was written" stays provable.
        self._phases = httpx.Timeout(timeout, connect=timeout / 3, pool=timeout / 3).as_dict()
        tls = httpx.create_ssl_context(trust_env=False)

        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=connections, ssl=tls)
            return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

        # Made in the loop that it is used in.
        self._transport = AiohttpTransport(client=session, trust_env=False)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: object = None,
    ) -> httpx.Response:
        """Sends one request once and returns its answer, read whole; raises httpx's errors and TimeoutError.

        Those of NOTHING_WRITTEN are raised only where that is so.
        """
        request = httpx.Request(
            method,
            url,
            headers=headers,
            params=params or None,
            data=data or None,
            json=json,
            extensions={"timeout": self._phases},
        )
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._transport.handle_async_request(request)
                try:
                    await answer.aread()
                finally:
                    await answer.aclose()
        except httpx.TransportError as error:
            # The transport calls whatever breaks a connect time-out, also what broke after the request was written.
            raise _told(error.__cause__) from None
        return answer

    async def post(self, url: str, json: object, headers: Mapping[str, str]) -> httpx.Response | Unanswered:
        """Posts JSON once; every trouble is an answer."""
        try:
            return await self.request("POST", url, json=json, headers=headers)
        except NOTHING_WRITTEN as error:
            return Unanswered(kind=AnswerKind.NOT_SENT, detail=type(error).__name__)
        except Exception as error:
            # From here on bytes may have been written, so no error of any kind may lead to a second request.
            return Unanswered(kind=AnswerKind.AMBIGUOUS, detail=type(error).__name__)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()


def _told(cause: BaseException | None) -> httpx.TransportError:
    # These two are all that aiohttp raises while there is no connection yet, and it raises them for nothing else.
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError("no connection")
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    return httpx.ReadError("broken off")


def web_address(url: str, what: str) -> str:
    """Returns `url` without a slash at its end; raises SettingsError naming `what` unless it is a web address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{what} is not a web address", remedy="give it as https://host[:port]")
    return url.rstrip("/")


def seconds_to_wait(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Returns the seconds that `Retry-After` asks for, None when it says nothing; as a date it needs `now`."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(date: str, now: datetime | None) -> float:
    try:
        return math.nan if now is None else (parsedate_to_datetime(date) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return math.nan
