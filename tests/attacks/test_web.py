"""Every route of the web process, enumerated: bodies without end, folded ones, what is told twice, who only looks."""

import logging
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Message

from tellfirst.settings import Settings
from tellfirst.signing.links import Links
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.web.app import create_app
from tellfirst.web.bodies import LARGE
from tellfirst.web.inbox import HEADER, inbox_token
from tests.figures import Figure
from tests.store.conftest import migrated_sqlite
from tests.web.rows import put_sends
from tests.web.signing import KEY, NOON, PUBLIC, SECRETS, as_json, given, sendgrid, twilio, webhook
from tests.web.test_posted import CONDITION, CONTACT, EVENT
from tests.web.test_survey_page import LIFETIME, ask

__all__ = ["migrated_sqlite"]

INBOX = "inbox-secret-of-at-least-so-many-characters"
ORIGIN = "https://app.example.org"
EVIL = "https://evil.example"
SEND, ASKED = "5e" * 16, "7d" * 16
WHO = f"c-{SEND}"
CANARY = "Marguerite-canary-0815"
LINKS = Links(KEY.encode(), base_url=PUBLIC, lifetime=LIFETIME)
ENDLESS = {"/inbox/{customer}/stream"}
"""What answers without end: an idle stream has a test of its own, which it does not end by itself."""
DASHBOARD = "/dashboard"


def _walk(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        within = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield route
        elif within is not None:
            yield from _walk(within.routes)


def ways(app: FastAPI, method: str) -> list[str]:
    """Returns the paths that take a method, each once."""
    return sorted({route.path for route in _walk(app.routes) if method in route.methods})


def filled(path: str, **other: str) -> str:
    """Returns the path with what leads somewhere in each of its places."""
    tokens = {
        "/u/": LINKS.unsubscribe(SEND, NOON),
        "/p/": LINKS.unsubscribe(SEND, NOON),
        "/s/": LINKS.survey(ASKED, NOON),
    }
    token = tokens.get(path[:3], "").rpartition("/")[2]
    places = {"token": token, "customer": WHO, "item": SEND, "mark": "read", "outreach:path": "o", **other}
    for name, value in places.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"say what stands in {path}"
    return path


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "tellfirst.db")
    opened = Database(open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}"))
    put_sends(opened, [(SEND, "resend", "r-1"), (ASKED, "resend", "r-2")])
    ask(opened, ASKED)
    record = CustomerRecord(id=WHO, first_name="Ann", addresses={"email": "ann@example.org", "sms": "+14155550123"})
    Customers(opened).save([record], now=NOON, source="test")
    yield opened
    opened.close()


@pytest.fixture
def app(database: Database, tmp_path: Path) -> FastAPI:
    made = Settings.load(_env_file=None, data_dir=tmp_path, inbox_secret=INBOX, inbox_origins=ORIGIN, **given())
    local = made.model_copy(update={"public_url": ""})
    # The dashboard is there for this machine alone where no public address is: two installations in one.
    made_app = create_app(made, database, clock=lambda: NOON)
    made_app.state.local = create_app(local, database, clock=lambda: NOON)
    return made_app


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with at(app) as made:
        yield made


def at(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4_711))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090")


def rows(folder: Path) -> list[str]:
    """Returns everything that stands in the database."""
    with sqlite3.connect(folder / "tellfirst.db") as database:
        return sorted(database.iterdump())


def signed(path: str, body: bytes, query: str = "") -> dict[str, str]:
    """Returns the headers under which a body counts on its path."""
    noun = path.split("/")[1]
    if noun == "inbox":
        return {HEADER: inbox_token(INBOX.encode(), WHO)}
    if noun == "sendgrid":
        return sendgrid(body)
    if noun in SECRETS:
        return webhook(body, SECRETS[noun], names="svix" if noun == "resend" else "webhook")
    return {"content-type": "application/x-www-form-urlencoded"}


def test_routes_are_found(app: FastAPI) -> None:
    assert len(ways(app, "POST")) >= 16
    assert set(ways(app, "GET")) >= ENDLESS


# -- bodies


async def test_no_route_reads_a_body_without_end(app: FastAPI, figure: Figure) -> None:
    most = 0
    for path in ways(app, "POST"):
        for types in (b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"):
            status, read = await _endless(app, filled(path), types)
            assert 400 <= status < 500, (path, types, status)
            assert read <= LARGE + 65_536, (path, types, read)
            most = max(most, read)
    figure(f"bodies without end: {len(ways(app, 'POST'))} routes, at most {most:,} bytes read")


async def _endless(app: FastAPI, path: str, type_: bytes) -> tuple[int, int]:
    read, status = 0, 0

    async def receive() -> Message:
        nonlocal read
        read += 65_536
        assert read <= 2 * LARGE, f"{path} reads on and on"
        return {"type": "http.request", "body": b"[" * 65_536, "more_body": True}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8090), "headers": [(b"host", b"127.0.0.1:8090"), (b"content-type", type_)],
    }  # fmt: skip
    await app(scope, receive, send)
    return status, read


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"[" * 20_000 + b"]" * 20_000,
        b'{"id":' + b"9" * 50_000 + b"}",
        b'{"id": 1e400, "occurred_at": -1e400}',
        b'{"id": "\\ud800", "customer": "\\u0000"}',
        b"\xff\xfe[\x00]\x00",
        b"&".join(b"a%d=" % n for n in range(8_000)),
    ],
    ids=["open", "objects", "folded", "digits", "infinite", "surrogates", "utf-16", "fields"],
)
async def test_a_signed_body_that_is_folded_or_boundless_has_no_effect(
    app: FastAPI, client: httpx.AsyncClient, tmp_path: Path, body: bytes
) -> None:
    # To mark something as read needs no body: that is done before, and once.
    marked = [path for path in ways(app, "POST") if path.startswith("/inbox")]
    for path in marked:
        await client.post(filled(path), headers=signed(path, b""))
    before = rows(tmp_path)
    for path in ways(app, "POST"):
        headers, begun = signed(path, body) if body.isascii() else {}, time.process_time()
        answer = await client.post(filled(path), content=body, headers=headers)
        # A customer's page is shown again when nothing on it was chosen, and odd events of providers are acknowledged.
        assert answer.status_code < 500, (path, answer.status_code)
        assert time.process_time() - begun < 1.0, path
    assert rows(tmp_path) == before


async def test_what_is_refused_is_repeated_nowhere(
    app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    evil = as_json({"id": [CANARY], "customer": {CANARY: CANARY}, CANARY: 1, "to": CANARY, "type": CANARY})
    for path in ways(app, "POST"):
        for headers in (signed(path, evil), {"authorization": f"Bearer {CANARY}", "x-twilio-signature": CANARY}):
            answer = await client.post(filled(path), content=evil, headers=headers, params={"x": CANARY})
            assert CANARY not in answer.text + str(answer.headers), path
    # The client of this test, and no logger of ours, tells addresses.
    assert CANARY not in "".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))


# -- looking


async def test_looking_at_anything_changes_nothing(
    app: FastAPI, client: httpx.AsyncClient, tmp_path: Path, figure: Figure
) -> None:
    before, seen = rows(tmp_path), 0
    for path in sorted(set(ways(app, "GET")) - ENDLESS):
        for method in ("GET", "HEAD"):
            for one in (app, app.state.local):
                async with at(one) as browser:
                    headers = {HEADER: inbox_token(INBOX.encode(), WHO), "purpose": "prefetch"}
                    answer = await browser.request(method, filled(path), headers=headers)
                assert answer.status_code < 500
                seen += answer.status_code == 200
    assert rows(tmp_path) == before
    assert seen >= 12
    figure(f"looked at: {len(ways(app, 'GET')) - len(ENDLESS)} routes by GET and HEAD, 0 rows changed")
    await client.post(filled("/u/{token}"), data={"List-Unsubscribe": "One-Click"})
    assert rows(tmp_path) != before, "a control: what acts is seen"


async def test_every_page_keeps_to_itself(app: FastAPI) -> None:
    shown = set()
    for path in sorted(set(ways(app, "GET")) - ENDLESS):
        for one in (app, app.state.local):
            for place in (filled(path), filled(path, token="x", **{"outreach:path": "nobody"})):
                async with at(one) as browser:
                    answer = await browser.get(place, headers={"origin": EVIL})
                assert "access-control-allow-origin" not in answer.headers, path
                if not answer.headers.get("content-type", "").startswith("text/html"):
                    continue
                shown.add(path)
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy, path
                assert "frame-ancestors 'none'" in policy, path
                assert "base-uri 'none'" in policy, path
                assert "unsafe" not in policy, path
                assert answer.headers["x-content-type-options"] == "nosniff", path
                assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin"), path
                assert answer.headers["cache-control"] == "no-store", path
                assert "<script" not in answer.text, path
    assert len(shown) == 5, shown


@pytest.mark.parametrize("origin", [EVIL, "null", f"{ORIGIN}.evil.example", ORIGIN])
async def test_no_page_of_others_is_let_in(app: FastAPI, client: httpx.AsyncClient, origin: str) -> None:
    for method in ("GET", "POST"):
        for path in ways(app, method):
            asked = {"origin": origin, "access-control-request-method": method}
            answer = await client.options(filled(path), headers=asked)
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (ORIGIN if origin == ORIGIN and path.startswith("/inbox/") else None), path


@pytest.mark.parametrize(
    "peer", ["203.0.113.7", "10.0.0.7", "::ffff:203.0.113.7", "169.254.1.1", "localhost.evil.example"]
)
async def test_no_part_of_the_dashboard_is_there_for_others(app: FastAPI, peer: str) -> None:
    for one in (app, app.state.local):
        transport = httpx.ASGITransport(one, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as browser:
            for method in ("GET", "POST"):
                for path in ways(app, method):
                    if path.startswith(DASHBOARD):
                        assert (await browser.request(method, filled(path))).status_code == 404, path


TRAVERSALS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\etc\\passwd",
    "%00",
    "o%00.html",
    "'; DROP TABLE sends; --",
    "%F0%9F%92%A9" * 200,
    "{{ 7 | times: 7 }}",
    "<script>alert(1)</script>",
    "%0d%0aSet-Cookie:%20a=b",
]


@pytest.mark.parametrize("evil", TRAVERSALS)
async def test_no_path_leads_out(app: FastAPI, tmp_path: Path, evil: str) -> None:
    before = rows(tmp_path)
    for method in ("GET", "POST"):
        for path in ways(app, method):
            if "{" not in path or path in ENDLESS:
                continue
            places = dict.fromkeys(("token", "customer", "item", "mark", "outreach:path"), quote(evil, safe="%/."))
            for one in (app, app.state.local):
                async with at(one) as browser:
                    answer = await browser.request(method, filled(path, **places))
                assert 400 <= answer.status_code < 500, (path, answer.status_code)
                assert "root:" not in answer.text
                assert "<script" not in answer.text
                assert "set-cookie" not in answer.headers
    assert rows(tmp_path) == before


# -- told twice


REPLAYED: dict[str, tuple[str, bytes]] = {
    "/twilio/status": (f"d={SEND}", b""),
    "/twilio/inbound": ("", b""),
    "/twilio/voice": ("", b""),
    "/sendgrid/events": ("", as_json([{"event": "bounce", "send_id": SEND, "sg_event_id": "e-1"}])),
    "/resend/events": ("", as_json({"type": "email.complained", "data": {"email_id": "r-1"}})),
    "/push/receipts": ("", as_json({"receipts": [{"send": SEND, "status": "opened"}]})),
    "/contacts": ("", as_json({"source": "desk", "contacts": [CONTACT]})),
    "/events": ("", as_json({"events": [EVENT]})),
    "/conditions": ("", as_json(CONDITION)),
    "/replies": ("", as_json({"id": "<m-1@mail.example.net>", "from": "ann@example.org", "text": "STOP"})),
}
FORMS = {
    "/twilio/status": {"MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered"},
    "/twilio/inbound": {"MessageSid": "SM" + "b" * 32, "From": "+14155550123", "Body": "STOP"},
    "/twilio/voice": {"CallSid": "CA" + "a" * 32, "To": "+14155550123", "Digits": "9"},
}
OF_CUSTOMERS = ("/inbox/", "/u/", "/p/", "/s/", DASHBOARD)
"""What nobody posts to us by machine: a customer who repeats themselves is tried where their pages are."""


async def test_what_is_posted_again_changes_nothing_more(
    app: FastAPI, client: httpx.AsyncClient, tmp_path: Path, figure: Figure
) -> None:
    posted = [path for path in ways(app, "POST") if not path.startswith(OF_CUSTOMERS)]
    assert posted == sorted(REPLAYED), "say what is posted there"
    for path in posted:
        query, body = REPLAYED[path]
        whole, headers = f"{path}?{query}" if query else path, signed(path, body)
        if path in FORMS:
            body, headers = twilio(whole, FORMS[path])
        before = rows(tmp_path)
        assert (await client.post(whole, content=body, headers=headers)).status_code < 300, path
        first = rows(tmp_path)
        assert first != before, f"{path}: a control: the first one counts"
        for _ in range(3):
            assert (await client.post(whole, content=body, headers=headers)).status_code < 300, path
        assert rows(tmp_path) == first, path
    figure(f"replayed: {len(posted)} webhooks, three times each, 0 further effects")
