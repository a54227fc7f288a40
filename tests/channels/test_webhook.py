"""Signed webhooks: the headers of the specification, one request a call, and only 2xx acknowledges."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from tellfirst.channels.webhook import HookFile, Webhook, read_secret, signed_headers
from tellfirst.errors import SettingsError
from tests.http_connection import Connection

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


class Receiver:
    """Is another system; `statuses` are answered in turn, then 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[dict[str, str], str]] = []
        self.url = ""

    def handle(self, connection: Connection, method: str, target: str, headers: dict[str, str], body: str) -> None:
        assert (method, target) == ("POST", "/grants")
        self.seen.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 0:
            connection.reset()
            return
        to = {"Location": self.url} if 300 <= status < 400 else {}
        connection.answer(status, "", retry_after=7 if status == 503 else None, headers=to)


R = TypeVar("R", bound=Receiver)


@asynccontextmanager
async def receiving(made: R) -> AsyncIterator[R]:
    """Lets a receiver listen."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(made.handle), "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/grants"
    yield made
    server.close()


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as made:
        yield made


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
def test_the_example_of_the_specification_is_signed_alike(zone: timezone) -> None:
    secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", where="X")
    at = datetime.fromtimestamp(1614265330, zone)
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', secret, now=at)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_a_message_is_posted_signed(receiver: Receiver) -> None:
    hook = Webhook(receiver.url, SECRET)
    body = json.dumps({"amount": 1}).encode()
    assert (await hook.deliver("r-1", body, now=NOON)).acknowledged
    await hook.close()
    ((headers, got),) = receiver.seen
    assert got.encode() == body
    told = f"r-1.{int(NOON.timestamp())}.".encode() + body
    expected = base64.b64encode(hmac.new(b"k" * 24, told, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "r-1"


@pytest.mark.parametrize(
    ("status", "detail", "wait"), [(500, "500", None), (307, "307", None), (410, "410", None), (503, "503", 7.0)]
)
async def test_anything_but_2xx_is_no_acknowledgement(
    receiver: Receiver, status: int, detail: str, wait: float | None
) -> None:
    receiver.statuses = [status]
    hook = Webhook(receiver.url, SECRET)
    answer = await hook.deliver("r-1", b"{}", now=NOON)
    await hook.close()
    assert (answer.acknowledged, answer.detail, answer.retry_after) == (False, detail, wait)
    assert len(receiver.seen) == 1


async def test_a_broken_connection_is_no_acknowledgement(receiver: Receiver) -> None:
    receiver.statuses = [0]
    hook = Webhook(receiver.url, SECRET)
    answer = await hook.deliver("r-1", b"{}", now=NOON)
    await hook.close()
    assert not answer.acknowledged
    assert len(receiver.seen) == 1


@asynccontextmanager
async def pouring(head: bytes, drop: bytes) -> AsyncIterator[str]:
    """Is a receiver whose answer never ends."""

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(head)
            while not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/grants"
    server.close()


async def test_a_body_without_an_end_is_not_read() -> None:
    async with pouring(b"HTTP/1.1 200 -\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 100_000) as url:
        hook = Webhook(url, SECRET)
        async with asyncio.timeout(5):
            assert (await hook.deliver("r-1", b"{}", now=NOON)).acknowledged
        await hook.close()


async def test_an_answer_that_comes_drop_by_drop_is_given_up() -> None:
    async with pouring(b"HTTP/1.1 200 -\r\nX-Drops: ", b"x") as url:
        hook = Webhook(url, SECRET, timeout=0.5)
        async with asyncio.timeout(5):
            answer = await hook.deliver("r-1", b"{}", now=NOON)
        await hook.close()
    assert (answer.acknowledged, answer.detail) == (False, "TimeoutError")


@pytest.mark.parametrize("secret", ["", "k" * 40, "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"])
def test_a_weak_secret_is_refused(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"^TELLFIRST_X_SECRETS: "):
        read_secret(secret, where="TELLFIRST_X_SECRETS")


@pytest.mark.parametrize("url", ["ftp://host/", "/grants", "https://user:word@host/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Webhook(url, SECRET)


async def test_without_an_address_it_is_a_file(tmp_path: Path) -> None:
    hook = HookFile(tmp_path / "grants")
    assert (await hook.deliver("r-1", b"1", now=NOON)).acknowledged
    assert (await hook.deliver("r-1", b"2", now=NOON)).acknowledged
    await hook.close()
    assert (tmp_path / "grants" / "r-1.json").read_bytes() == b"1"
    assert (tmp_path / "grants" / "r-1.json").stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    assert not (await HookFile(tmp_path / "file" / "x").deliver("r-1", b"1", now=NOON)).acknowledged
