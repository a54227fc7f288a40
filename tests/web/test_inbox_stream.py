"""An open app hears at once that something is new, through whichever web process it came."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tellfirst.channels.in_app import InAppInbox
from tellfirst.channels.receipts import judge, meaning
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.inbox import Inbox
from tellfirst.store.migrations import migrate
from tellfirst.store.receipts import Receipts
from tellfirst.web import inbox as module
from tellfirst.web.inbox import inbox_routes
from tests.web.test_inbox import DAY, NOON, SECRET, messages, token

URL = "/inbox/c-1/stream"


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Lets a web process listen and yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    running = asyncio.create_task(server._serve())  # without the signals of a process of its own
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def process(database: Database) -> AsyncIterator[str]:
    """Is a web process with the inbox alone."""
    app = FastAPI()
    receipts = Receipts(database, judge=judge, meaning=meaning)
    app.include_router(
        inbox_routes(Inbox(database, 90 * DAY), receipts, secret=SECRET, clock=lambda: NOON, look_every=0.02)
    )
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def stream(url: str, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """Opens a stream and yields its events."""
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        asyncio.timeout(20),
        client.stream("GET", url + URL, headers={**token("c-1"), **headers}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.aiter_lines())


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    event: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            yield event
            event = {}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    engine = open_engine(f"sqlite:///{tmp_path / 'inbox.db'}")
    migrate(engine)
    made = Database(engine)
    Customers(made).save([CustomerRecord(id="c-1", addresses={"in_app": "c-1"})], now=NOON, source="test")
    return made


async def test_a_stream_tells_what_came_by_another_process_and_what_was_missed(database: Database) -> None:
    adapter = InAppInbox(Inbox(database, 90 * DAY))
    async with process(database) as one, process(database) as other:
        async with stream(one) as events:
            first = await anext(events)
            assert (first["event"], first["data"]) == ("changed", '{"unseen":0,"unread":0}')
            await adapter.send(messages("s-1"), now=NOON)
            new = await anext(events)
            assert (new["event"], new["data"]) == ("new-message", '{"unseen":1,"unread":1}')
            assert "parcel" not in str(new)
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.post(f"{other}/inbox/c-1/seen", headers=token("c-1"))
            assert (await anext(events))["data"] == '{"unseen":0,"unread":1}'
        await adapter.send(messages("s-2"), now=NOON)
        async with stream(other, **{"Last-Event-ID": new["id"]}) as events:
            missed = await anext(events)
            assert (missed["event"], missed["data"]) == ("new-message", '{"unseen":1,"unread":2}')
        async with stream(one, **{"Last-Event-ID": missed["id"]}) as events:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    raise AssertionError(f"nothing was missed: {await anext(events)}")


async def test_no_process_keeps_more_streams_than_it_can(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAMS", 1)
    async with process(database) as url, httpx.AsyncClient(trust_env=False) as client:
        async with stream(url) as events:
            await anext(events)
            answer = await client.get(url + URL, headers=token("c-1"))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        async with asyncio.timeout(20):  # until the process has noticed that the other one went away
            while await status(client, url) == 503:
                await asyncio.sleep(0.05)


async def status(client: httpx.AsyncClient, url: str) -> int:
    async with client.stream("GET", url + URL, headers=token("c-1")) as answer:
        return answer.status_code


async def test_an_idle_stream_is_kept_open(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.1)
    async with (
        process(database) as url,
        httpx.AsyncClient(trust_env=False) as client,
        asyncio.timeout(20),
        client.stream("GET", url + URL, headers=token("c-1")) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith(": ping"):
                break
