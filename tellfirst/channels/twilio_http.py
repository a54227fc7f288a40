"""The HTTP client under the official Twilio SDK: one attempt, one deadline for the whole of it, headers kept.

The SDK's own asynchronous client ignores the client's timeout, repeats a POST on HTTP 500 when asked to retry, loses
`Retry-After`, and has no way to another server. This one speaks to httpx's transport directly: a layer with no
redirects, no retries, no environment, and no log lines with query strings, in which a look-up has a phone number.
"""

import asyncio
import base64
import json
import math
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx
from twilio.http.response import Response

from tellfirst.errors import SettingsError


class ProviderRefusedError(Exception):
    """Is an answer other than 2xx: HTTP status, provider's code (0 when absent), seconds to wait before another."""

    def __init__(self, status: int, code: int, retry_after: float | None) -> None:
        self.status, self.code, self.retry_after = status, code, retry_after
        super().__init__(f"HTTP {status}, code {code}")


class TwilioHttp:
    """Is what the SDK's `Client(http_client=...)` needs; `timeout` (seconds) bounds a request from start to end.

    `base_url` replaces scheme, host and port of every address. Raises `ProviderRefusedError` for an answer other
    than 2xx, before the SDK turns it into an error without headers; httpx's errors and TimeoutError pass through.
    """

    is_async = True

    def __init__(self, *, base_url: str | None, timeout: float, connections: int) -> None:
        base = urlsplit(base_url or "")
        if base_url and (base.scheme not in ("http", "https") or not base.hostname):
            raise SettingsError("the Twilio API base is not a web address", remedy="give it as https://host[:port]")
        self._base = base if base_url else None
        self._timeout = timeout
        # Waiting for a connection ends well before the whole does, so that "nothing was written" stays provable.
        self._phases = httpx.Timeout(timeout, connect=timeout / 3, pool=timeout / 3).as_dict()
        self._transport = httpx.AsyncHTTPTransport(
            trust_env=False,
            retries=0,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # the SDK passes none; ours holds for every request
        allow_redirects: bool = False,
    ) -> Response:
        """Sends one request once and returns its answer; the SDK calls it."""
        request = httpx.Request(
            method,
            self._rebased(url),
            params=params or None,
            data=data or None,
            headers={**(headers or {}), **_basic(auth)},
            extensions={"timeout": self._phases},
        )
        async with asyncio.timeout(self._timeout):
            answer = await self._transport.handle_async_request(request)
            try:
                await answer.aread()
            finally:
                await answer.aclose()
        if not 200 <= answer.status_code < 300:
            raise ProviderRefusedError(answer.status_code, _code(answer.text), _seconds(answer.headers))
        return Response(answer.status_code, answer.text, answer.headers)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    def _rebased(self, url: str) -> str:
        if self._base is None:
            return url
        _, _, path, query, _ = urlsplit(url)
        return urlunsplit((self._base.scheme, self._base.netloc, self._base.path.rstrip("/") + path, query, ""))


def _basic(auth: tuple[str, str] | None) -> dict[str, str]:
    if auth is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(":".join(auth).encode()).decode("ascii")}


def _code(text: str) -> int:
    # Only a number leaves here: it ends in a record, and a message of the provider may quote the phone number.
    try:
        code = json.loads(text)["code"]
    except (ValueError, TypeError, KeyError):
        return 0
    return code if type(code) is int and 0 < code < 1_000_000 else 0


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
