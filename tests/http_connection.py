"""The least HTTP/1.1 that a test server needs, fast, and able to break off anywhere in an answer."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping

Handle = Callable[["Connection", str, str, dict[str, str], str], None]
"""Takes the connection, method, target, headers with lower-case names, and body; answers now or later."""


class Connection(asyncio.Protocol):
    """Is one HTTP/1.1 connection, one request at a time."""

    def __init__(self, handle: Handle) -> None:
        self.handle, self.buffer, self.busy = handle, b"", False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.next_request()

    def next_request(self) -> None:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if self.busy or not found:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        method, target, _ = request.split(" ")
        self.buffer, self.busy = rest[length:], True
        self.handle(self, method, target, headers, rest[:length].decode())

    def answer(
        self,
        status: int,
        body: str,
        *,
        retry_after: float | None = None,
        cut: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = body.encode()
        extra = f"Retry-After: {retry_after:g}\r\n" if retry_after is not None else ""
        extra += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(content)}\r\n\r\n"
        self.transport.write(head.encode() + (content[: len(content) // 2] if cut else content))
        self.busy = False
        if cut:
            self.transport.close()
        else:
            self.next_request()

    def reset(self) -> None:
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
