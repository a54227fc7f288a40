"""The HTTP client under the official Twilio SDK: one attempt, one deadline for the whole of it, headers kept.

The SDK's own asynchronous client ignores the client's timeout, repeats a POST on HTTP 500 when asked to retry, loses
`Retry-After`, and has no way to another server.
"""

import base64
import json
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from twilio.http.response import Response

from tellfirst.channels.http import HttpOnce, seconds_to_wait, web_address


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
        self._base = urlsplit(web_address(base_url, "the Twilio API base")) if base_url else None
        self._http = HttpOnce(timeout=timeout, connections=connections)

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
        answer = await self._http.request(
            method,
            self._rebased(url),
            params=params,
            data=data,
            headers={**(headers or {}), **_basic(auth)},
        )
        if not 200 <= answer.status_code < 300:
            raise ProviderRefusedError(answer.status_code, _code(answer.text), seconds_to_wait(answer.headers))
        return Response(answer.status_code, answer.text, answer.headers)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    def _rebased(self, url: str) -> str:
        if self._base is None:
            return url
        _, _, path, query, _ = urlsplit(url)
        return urlunsplit((self._base.scheme, self._base.netloc, self._base.path + path, query, ""))


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
