"""Twilio's status callbacks: `sent` and then `delivered` of every accepted message, signed, to whoever is named."""

import asyncio
import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit


class Callbacks:
    """Posts to `base` what is meant for the public address of its path, over so many `lines` kept open, never twice.

    `sent_after` and `delivered_after` are seconds from the acceptance; `counts` gets `told` for those answered with
    2xx, and `refused` for the others and for those whose connection broke.
    """

    def __init__(
        self,
        account: str,
        token: str,
        counts: dict[str, int],
        changed: Callable[[], None],
        *,
        base: str,
        lines: int,
        sent_after: float,
        delivered_after: float,
    ) -> None:
        at = urlsplit(base)
        self._host, self._port = at.hostname or "", at.port or 80
        self._account = account
        self._key = hmac.new(token.encode(), digestmod=hashlib.sha1)
        self._after = {"sent": sent_after, "delivered": delivered_after}
        self._counts, self._changed = counts, changed
        self._waiting: deque[bytes] = deque()
        self._idle: list[_Line] = []
        self._unopened, self._opening = lines, set[asyncio.Task[None]]()

    def promise(self, record: Mapping[str, str]) -> None:
        """Lets the callbacks of an accepted message begin their way."""
        loop = asyncio.get_running_loop()
        for status, after in self._after.items():
            loop.call_later(after, self._post, record["status_callback"], record["sid"], record["to"], status)

    def _post(self, url: str, sid: str, to: str, status: str) -> None:
        form = {
            "AccountSid": self._account,
            "ApiVersion": "2010-04-01",
            "From": "+15005550006",
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": to,
        }
        if status == "delivered":
            form["RawDlrDoneDate"] = "2611221200"
        signed = self._key.copy()
        signed.update((url + "".join(name + form[name] for name in sorted(form))).encode())
        body, at = urlencode(form).encode(), urlsplit(url)
        self._waiting.append(
            f"POST {at.path}?{at.query} HTTP/1.1\r\nHost: {at.netloc}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
            f"X-Twilio-Signature: {base64.b64encode(signed.digest()).decode()}\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self._go_on()

    def _go_on(self) -> None:
        if self._idle:
            self._idle.pop().next_request()
        elif self._unopened:
            self._unopened -= 1
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Line(self), self._host, self._port)
        except OSError:
            self._unopened += 1
            if self._waiting:
                self._waiting.popleft()
                self.answered(0)
            if self._waiting:
                self._go_on()

    def take(self, line: "_Line") -> bytes:
        """Returns what a line posts next; without any it is idle."""
        if self._waiting:
            return self._waiting.popleft()
        self._idle.append(line)
        return b""

    def answered(self, status: int) -> None:
        """Counts one answer; 0 when there was none."""
        self._counts["told" if 200 <= status < 300 else "refused"] += 1
        self._changed()

    def lost(self, line: "_Line") -> None:
        """Lets another line be opened for one that is gone."""
        self._unopened += 1
        if line in self._idle:
            self._idle.remove(line)
        if self._waiting:
            self._go_on()


class _Line(asyncio.Protocol):
    """Is one connection that is kept open, one request at a time."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._of, self._buffer, self._busy = callbacks, b"", False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.next_request()

    def next_request(self) -> None:
        if request := self._of.take(self):
            self._busy = True
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0].strip()
        if len(rest) < int(length or 0):
            return
        self._buffer, self._busy = b"", False
        self._of.answered(int(head[9:12]))
        self.next_request()

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy:
            self._of.answered(0)
        self._of.lost(self)
