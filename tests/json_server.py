"""A provider with a JSON API, in this process: it keeps every request, and answers or breaks off as it is told."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from tests.http_connection import Connection


class Posted(NamedTuple):
    """Is one request."""

    method: str
    target: str
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Reply(NamedTuple):
    """Is one answer; a body that is no text is written as JSON."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = {}


class JsonServer:
    """Takes requests by `take`; `trouble` comes in turn instead: a Reply, or one of these words.

    `reset_before`: broken off, nothing taken. `reset_after`, `error_after`, `garbage_after`: taken, then broken off,
    answered with 503 or with no JSON. `silence_after`: taken, and never answered.
    """

    def __init__(self, take: Callable[[Posted], Reply]) -> None:
        self._take = take
        self.requests: list[Posted] = []
        self.trouble: list[Reply | str] = []
        self.base_url = ""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._handle), "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _handle(self, on: Connection, method: str, target: str, headers: dict[str, str], body: str) -> None:
        posted = Posted(method, target, headers, body)
        self.requests.append(posted)
        trouble = self.trouble.pop(0) if self.trouble else ""
        if isinstance(trouble, Reply):
            return _answer(on, trouble)
        if trouble == "reset_before":
            return on.reset()
        reply = self._take(posted)
        if trouble == "reset_after":
            return on.reset()
        if trouble == "silence_after":
            return None
        if trouble == "error_after":
            reply = Reply(503, {"errors": []})
        elif trouble == "garbage_after":
            reply = Reply(200, "<html>welcome</html>")
        return _answer(on, reply)


def _answer(on: Connection, reply: Reply) -> None:
    body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    on.answer(reply.status, body, headers=reply.headers)
