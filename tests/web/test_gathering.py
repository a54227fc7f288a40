"""Receipts that come together: one transaction, no answer before it, nothing acknowledged that is not kept."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tellfirst.settings import Settings
from tellfirst.store.engine import Database
from tellfirst.store.tables import ReceiptRow
from tellfirst.web.app import create_app
from tests.figures import Figure
from tests.twilio_callbacks import Callbacks
from tests.web import signing
from tests.web.rows import put_sends, state_of

ROOT = Path(__file__).parents[2]
MANY = 40
PUBLIC = "https://hooks.example.org"


@contextmanager
def heard(database: Database, name: str, what: Any) -> Iterator[None]:
    """Calls `what` at an event of the engine."""
    event.listen(database.engine, name, what)
    try:
        yield
    finally:
        event.remove(database.engine, name, what)


def client_of(database: Database) -> httpx.AsyncClient:
    settings = Settings.load(_env_file=None, **signing.given())
    app = create_app(settings, database, clock=lambda: signing.NOON)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside:8090/")


def put(database: Database, count: int) -> list[str]:
    """Puts sends into the effect log and returns their ids; the provider's are the same behind an SM."""
    ids = [f"{number:032x}" for number in range(count)]
    put_sends(database, [(id_, "twilio", f"SM{id_}") for id_ in ids])
    return ids


def request(id_: str, status: str = "delivered") -> dict[str, Any]:
    """Returns a receipt as httpx posts it."""
    path = f"/twilio/status?d={id_}"
    body, headers = signing.twilio(path, {"MessageSid": f"SM{id_}", "MessageStatus": status})
    return {"url": path, "content": body, "headers": headers}


async def test_what_comes_together_is_one_transaction(database: Database) -> None:
    ids, commits = put(database, MANY), []
    async with client_of(database) as client:
        with heard(database, "commit", lambda _: commits.append(1)):
            answers = await asyncio.gather(*(client.post(**request(id_)) for id_ in ids))
    assert {answer.status_code for answer in answers} == {204}
    assert {state_of(database, id_) for id_ in ids} == {("delivered", "receipt")}
    assert len(commits) <= 3  # the first by itself, then all that came meanwhile


async def test_nothing_is_answered_before_it_is_committed(database: Database) -> None:
    ids, reached, go = put(database, MANY), threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        go.wait(10)

    async with client_of(database) as client:
        with heard(database, "commit", hold):
            posted = [asyncio.create_task(client.post(**request(id_))) for id_ in ids]
            await asyncio.to_thread(reached.wait, 10)
            done, _ = await asyncio.wait(posted, timeout=0.2)
            assert done == set()
            go.set()
            assert {answer.status_code for answer in await asyncio.gather(*posted)} == {204}


async def test_all_of_a_transaction_that_fails_are_told_and_come_again(database: Database) -> None:
    ids = put(database, MANY)

    def fail(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        if sql.startswith("INSERT INTO receipts"):
            raise OperationalError(sql, {}, Exception("the disk is full"))

    async with client_of(database) as client:
        with heard(database, "before_cursor_execute", fail):
            answers = await asyncio.gather(*(client.post(**request(id_)) for id_ in ids))
        assert {answer.status_code for answer in answers} == {503}
        again = await asyncio.gather(*(client.post(**request(id_)) for id_ in ids))
    assert {answer.status_code for answer in again} == {204}
    assert {state_of(database, id_)[0] for id_ in ids} == {"delivered"}


async def test_a_body_in_pieces_is_read_whole(database: Database) -> None:
    (id_,) = put(database, 1)
    told = request(id_)

    async def pieces() -> Any:
        for byte in told["content"]:
            yield bytes([byte])

    async with client_of(database) as client:
        assert (await client.post(**{**told, "content": pieces()})).status_code == 204
    assert state_of(database, id_)[0] == "delivered"


async def test_a_killed_process_has_acknowledged_only_what_is_kept(
    database: Database, tmp_path: Path, figure: Figure
) -> None:
    ids, counts, after = put(database, 300), {"told": 0, "refused": 0}, 200
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {
        **os.environ,
        "TELLFIRST_DATA_DIR": str(tmp_path),
        "TELLFIRST_DATABASE_URL": database.engine.url.render_as_string(hide_password=False),
        "TELLFIRST_WEB_PORT": str(port),
        "TELLFIRST_PUBLIC_URL": PUBLIC,
        "TWILIO_AUTH_TOKEN": signing.TOKEN,
    }
    process = subprocess.Popen([sys.executable, "-m", "tellfirst.web"], cwd=ROOT, env=environment)
    over = asyncio.Event()

    def changed() -> None:
        if counts["told"] >= after and process.poll() is None:
            process.kill()
        if sum(counts.values()) == 2 * len(ids):
            over.set()

    try:
        while True:
            with socket.socket() as one:
                if not one.connect_ex(("127.0.0.1", port)):
                    break
            await asyncio.sleep(0.05)
        callbacks = Callbacks(
            "AC1",
            signing.TOKEN,
            counts,
            changed,
            base=f"http://127.0.0.1:{port}",
            lines=50,
            sent_after=0,
            delivered_after=0,
        )
        for id_ in ids:
            url = f"{PUBLIC}/twilio/status?d={id_}"
            callbacks.promise({"status_callback": url, "sid": f"SM{id_}", "to": "+14155550100"})
        async with asyncio.timeout(30):
            await over.wait()
    finally:
        process.kill()
        process.wait()
    with database.read() as session:
        kept = len(session.exec(select(ReceiptRow)).all())
    assert after <= counts["told"] < 2 * len(ids)
    assert kept >= counts["told"]
    figure(f"receipts: killed after {counts['told']} of {2 * len(ids)} acknowledged, {kept} kept")
