"""A proxy between the workers and the provider, which spoils what passes for the numbers that it is told."""

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

CUT = 40
"""Bytes of an answer that is cut off: not even its head is whole."""
LATE = 0.7
"""Seconds by which an answer is late, within the time-out of a request."""
SPOILS = {
    "black_hole": "nothing is passed on and nothing is answered",
    "cut_request": "half of it is passed on, then both connections are reset",
    "cut_answer": "the answer ends after CUT bytes",
    "late": "the answer takes LATE seconds longer",
}


class Proxy:
    """Passes requests on to a port of this machine; its loop is in a thread of its own, so that nobody's work stops it.

    `spoiled` holds what becomes of the requests for a number, by method and number: of SPOILS, and how often.
    `applied` counts what became of them, by method.
    """

    def __init__(self, to: int) -> None:
        self._to, self.port = to, 0
        self.spoiled: dict[tuple[str, str], tuple[str, int]] = {}
        self.applied: Counter[tuple[str, str]] = Counter()
        self._lines: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()
        self.base_url = f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Takes connections, at the same port as before."""
        self._here(self._listen())

    def refuse(self) -> None:
        """Refuses connections until it listens again; what is open is closed."""
        self._here(self._refuse())

    def stop(self) -> None:
        """Ends it."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _here(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        while True:
            # Below the ports that a system gives to clients, or one of them has ours when it is to be taken again.
            port = self.port or random.randrange(20_000, 32_000)
            try:
                self._server = await asyncio.start_server(self._line, "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                self.port = port
                return

    async def _refuse(self) -> None:
        self._server.close()
        for line in (lines := list(self._lines)):
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _line(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        provider: asyncio.StreamReader | None = None
        there: asyncio.StreamWriter | None = None
        try:
            while True:
                request, _ = await _message(client)
                spoil = self._spoil(request)
                if spoil == "black_hole":
                    await client.read()
                    return
                if provider is None or there is None:
                    provider, there = await asyncio.open_connection("127.0.0.1", self._to)
                if spoil == "cut_request":
                    there.write(request[: len(request) // 2])
                    await there.drain()
                    _reset(there)
                    _reset(back)
                    return
                there.write(request)
                answer, whole = await _message(provider)
                if spoil == "late":
                    await asyncio.sleep(LATE)
                back.write(answer[:CUT] if spoil == "cut_answer" else answer)
                if spoil == "cut_answer" or not whole:
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except OSError:
            _reset(back)  # as the other side did
        finally:
            self._lines.discard(task)
            for writer in (back, there):
                if writer is not None:
                    writer.close()

    def _spoil(self, request: bytes) -> str:
        found = re.search(rb"\bTo=%2B(\d+)", request)
        method, number = request.partition(b" ")[0].decode(), f"+{found[1].decode()}" if found else ""
        what, times = self.spoiled.pop((method, number), ("", 0))
        if times > 1:
            self.spoiled[method, number] = what, times - 1
        self.applied[method, what] += 1
        return what


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Returns one request or answer and whether it is whole; raises IncompleteReadError where there is none at all."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0].strip()
    try:
        return head + await reader.readexactly(int(length or 0)), True
    except asyncio.IncompleteReadError as cut:
        return head + cut.partial, False


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # it is closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
