"""The in-app inbox: listed and marked by whoever holds the customer's token, and told of at once."""

import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlmodel import select

from tellfirst.channels.in_app import InAppInbox
from tellfirst.domain.message import AnswerKind, Outbound, Rendered, SendState
from tellfirst.settings import Settings
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure
from tellfirst.store.inbox import Inbox
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_inbox import InboxRow
from tellfirst.web.app import create_app
from tellfirst.web.inbox import HEADER, inbox_token
from tests.store.make import before

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECRET = "k" * 24
ORIGIN = "https://app.example.org"


class Place:
    """Is a web process whose clock can be set, and the channel that fills its inboxes."""

    def __init__(self, database: Database) -> None:
        self.database, self.now = database, NOON
        settings = Settings.load(_env_file=None, inbox_secret=SECRET, inbox_origins=ORIGIN)
        self.app = create_app(settings, database, clock=lambda: self.now)
        self.adapter = InAppInbox(Inbox(database, 90 * DAY))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://inside/")
        Customers(database).save(
            [CustomerRecord(id=name, addresses={"in_app": name}) for name in ("c-1", "c-2")], now=NOON, source="test"
        )

    async def tell(self, *sends: str, customer: str = "c-1") -> list[AnswerKind]:
        return [answer.kind for answer in await self.adapter.send(messages(*sends, customer=customer), now=self.now)]

    async def get(self, customer: str = "c-1", **query: object) -> Any:
        answer = await self.client.get(f"/inbox/{customer}", params=query, headers=token(customer))  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, customer: str = "c-1") -> httpx.Response:
        return await self.client.post(f"/inbox/{customer}/{path}", headers=token(customer))

    def stored(self) -> list[InboxRow]:
        with self.database.read() as session:
            return list(session.exec(select(InboxRow)))


def put(database: Database, send: str) -> None:
    """Puts a send that was accepted into the effect log."""
    with database.write() as session:
        row = RecipientRow(
            outreach_id="o", revision=1, position=0, customer_id="c-1", subject_key="o-1", cluster="c-1", facts={},
            verdict="eligible",
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.add(
            SendRow(
                id=send, outreach_id="o", revision=1, recipient_id=row.id or 0, customer_id="c-1", step="initial",
                channel="in_app", page=0, state=SendState.ACCEPTED, provider_id=send, adapter="in_app",
            )
        )  # fmt: skip


def token(customer: str) -> dict[str, str]:
    return {HEADER: inbox_token(SECRET.encode(), customer)}


def messages(*sends: str, customer: str = "c-1") -> Sequence[Outbound]:
    return [
        Outbound(
            send_id=send,
            channel="in_app",
            address=customer,
            customer=customer,
            rendered=Rendered(subject=f"About {send}", body="Your parcel is late."),
            locale="en",
            not_after=NOON + DAY,
        )
        for send in sends
    ]


@pytest_asyncio.fixture
async def place(database: Database) -> AsyncIterator[Place]:
    made = Place(database)
    async with made.client:
        yield made


async def test_the_same_send_is_the_same_item(place: Place) -> None:
    assert await place.tell("s-1", "s-2") == [AnswerKind.ACCEPTED] * 2
    assert await place.tell("s-1") == [AnswerKind.ACCEPTED]
    listed = await place.get()
    assert [item["subject"] for item in listed["items"]] == ["About s-2", "About s-1"]
    assert (listed["unseen"], listed["unread"], listed["next"]) == (2, 2, None)
    (message,) = messages("s-1")
    found = await place.adapter.look_up(message, NOON)
    assert found is not None
    assert (found.kind, found.provider_id) == (AnswerKind.ACCEPTED, "s-1")
    assert await place.adapter.look_up(messages("s-9")[0], NOON) is None


async def test_what_is_too_late_or_for_nobody_is_not_kept(place: Place) -> None:
    await place.tell("s-1")
    assert await place.tell("s-2", customer="c-9") == [AnswerKind.PERMANENT]
    place.now = NOON + DAY
    # The first one is there, whatever the hour at which it is asked for again.
    assert await place.tell("s-1", "s-3") == [AnswerKind.ACCEPTED, AnswerKind.NOT_SENT]
    assert [row.send_id for row in place.stored()] == ["s-1"]


async def test_pages_lead_from_the_newest_to_the_oldest(place: Place) -> None:
    await place.tell(*(f"s-{n}" for n in range(5)))
    seen, cursor = [], None
    while True:
        page = await place.get(limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["subject"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == [f"About s-{n}" for n in (4, 3, 2, 1, 0)]


async def test_marks_only_go_forwards_and_the_first_time_counts(place: Place) -> None:
    await place.tell("s-1", "s-2")
    item = (await place.get())["items"][0]["id"]
    assert (await place.post(f"{item}/read")).json() == {"unseen": 1, "unread": 1}
    place.now += timedelta(hours=1)
    assert (await place.post(f"{item}/seen")).json() == {"unseen": 1, "unread": 1}
    assert (await place.post(f"{item}/clicked")).status_code == 200
    told = (await place.get())["items"][0]
    assert told["seen_at"] == told["read_at"] == "2026-03-01T12:00:00Z"
    assert told["clicked_at"] == "2026-03-01T13:00:00Z"
    assert [i["subject"] for i in (await place.get(status="unread"))["items"]] == ["About s-1"]
    assert (await place.post("seen")).json() == {"unseen": 0, "unread": 1}
    assert (await place.post("seen")).json() == {"unseen": 0, "unread": 1}
    assert (await place.post(f"{item}/archived")).status_code == 200
    assert len((await place.get())["items"]) == 1
    assert [i["id"] for i in (await place.get(status="archived"))["items"]] == [item]


async def test_an_item_of_somebody_else_is_not_there(place: Place) -> None:
    await place.tell("s-1", customer="c-2")
    (row,) = place.stored()
    assert (await place.post(f"{row.id}/read")).status_code == 404
    assert (await place.post("99999/read")).status_code == 404
    assert place.stored()[0].read_at is None
    assert (await place.get())["items"] == []


@pytest.mark.parametrize("way", ["none", "wrong", "other", "query", "not-ascii"])
async def test_who_has_no_token_learns_nothing(place: Place, way: str) -> None:
    await place.tell("s-1")
    (row,) = place.stored()
    given: dict[str, dict[str, str]] = {
        "none": {},
        "wrong": {"headers": {HEADER: "0" * 64}},  # type: ignore[dict-item]
        "other": {"headers": token("c-2")},  # type: ignore[dict-item]
        "query": {"params": {"token": "0" * 64}},  # type: ignore[dict-item]
        "not-ascii": {"params": {"token": "ü" * 64}},  # type: ignore[dict-item]
    }
    for method, path in (("GET", ""), ("POST", f"/{row.id}/read"), ("POST", "/seen"), ("GET", "/stream")):
        answer = await place.client.request(method, f"/inbox/c-1{path}", **given[way])  # type: ignore[arg-type]
        assert answer.status_code == 401, path
        assert "parcel" not in answer.text
    assert place.stored()[0].seen_at is None


async def test_without_a_secret_it_says_what_is_missing(database: Database) -> None:
    app = create_app(Settings.load(_env_file=None), database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside/") as client:
        answer = await client.get("/inbox/c-1", headers={HEADER: inbox_token(b"", "c-1")})
    assert answer.status_code == 503
    assert "TELLFIRST_INBOX_SECRET" in answer.text


async def test_what_a_customer_does_becomes_a_receipt(place: Place) -> None:
    send = "5e" * 16
    put(place.database, send)
    await place.tell(send)
    (row,) = place.stored()

    def state() -> str:
        with place.database.read() as session:
            return session.get_one(SendRow, send).state

    assert await place.adapter.status(send) == ("accepted", "")
    await place.post(f"{row.id}/archived")
    assert state() == "accepted"  # tidied away unread is no proof of anything
    await place.post("seen")
    assert state() == "delivered"
    assert await place.adapter.status(send) == ("delivered", "")
    await place.post(f"{row.id}/clicked")
    assert await place.adapter.status(send) == ("read", "")


async def test_what_has_expired_is_gone(place: Place) -> None:
    await place.tell("s-1")
    place.now = NOON + 91 * DAY
    assert (await place.get())["items"] == []
    assert (await place.post("seen")).json() == {"unseen": 0, "unread": 0}
    await place.adapter.send([messages("s-2")[0].model_copy(update={"not_after": place.now + DAY})], now=place.now)
    Inbox(place.database, DAY).tidy(now=place.now)
    assert [row.send_id for row in place.stored()] == ["s-2"]


async def test_a_customer_who_is_forgotten_leaves_nothing_behind(place: Place) -> None:
    await place.tell("s-1")
    await place.tell("s-2", customer="c-2")
    Erasure(place.database).forget("c-1", "x-1", by="ana", at=NOON)
    assert [row.customer_id for row in place.stored()] == ["c-2"]
    assert await place.tell("s-3") == [AnswerKind.PERMANENT]


@pytest.mark.parametrize(
    ("origin", "path", "allowed"),
    [(ORIGIN, "/inbox/c-1", True), ("https://evil.example", "/inbox/c-1", False), (ORIGIN, "/healthz", False)],
)
async def test_only_pages_of_ours_may_read_from_a_browser(place: Place, origin: str, path: str, allowed: bool) -> None:
    answer = await place.client.get(path, headers={"Origin": origin, **token("c-1")})
    assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": HEADER}
    answer = await place.client.options(path, headers=asked)
    assert (answer.status_code == 200) is allowed


async def test_whoever_is_forgotten_meanwhile_gets_nothing(place: Place) -> None:
    """The item is about to be put in when its customer is forgotten."""
    reached, inbox = threading.Event(), Inbox(place.database, DAY)
    with before(place.database, "INSERT INTO inbox_items", reached, hold=0.5), ThreadPoolExecutor() as pool:
        delivering = pool.submit(inbox.deliver, messages("s-1"), now=NOON)
        assert reached.wait(10)
        Erasure(place.database).forget("c-1", "x-1", by="ana", at=NOON)
    assert delivering.result() == {"s-1"}
    assert place.stored() == []
