"""Contacts, events and conditions as other systems post them, plain or as CloudEvents."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from fastapi import FastAPI
from sqlmodel import select

from tellfirst.settings import Settings
from tellfirst.store.contacts import Contacts
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.erasure import Erasure
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_arrivals import ArrivalRow, EventRow
from tellfirst.web.app import create_app
from tests.web.signing import NOON, SECRETS, as_json, given, webhook

CONTACT = {"id": "t-1", "customer": "c-1", "reason_code": "where_is_my_order", "occurred_at": "2026-03-01T10:00:00Z"}
EVENT = {"source": "shop", "id": "e-1", "type": "order.delayed", "occurred_at": "2026-03-01T10:00:00+01:00"}
CONDITION = {
    "trigger": "late_delivery",
    "key": "sweep-1",
    "detected_at": "2026-03-01T10:00:00Z",
    "subjects": [{"key": "o-1", "customer": "c-1", "facts": {"order_id": "o-1"}}],
}


@pytest.fixture
def app(database: Database) -> FastAPI:
    return create_app(Settings.load(_env_file=None, **given()), database, clock=lambda: NOON)


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as made:
        yield made


async def post(client: httpx.AsyncClient, noun: str, value: object, *, id_: str = "msg_1") -> httpx.Response:
    body = as_json(value)
    return await client.post(f"/{noun}", content=body, headers=webhook(body, SECRETS[noun], id_=id_))


async def post_event(client: httpx.AsyncClient, noun: str, message: HTTPMessage) -> httpx.Response:
    headers = {**webhook(message.body, SECRETS[noun]), **message.headers}
    return await client.post(f"/{noun}", content=message.body, headers=headers)


def rows(database: Database, row: Any) -> list[Any]:
    with database.read() as session:
        return list(session.exec(select(row).order_by(row.id)))


# -- contacts


def counts(**some: int) -> dict[str, int]:
    return {"new": 0, "corrected": 0, "withdrawn": 0, "known": 0, **some}


async def test_contacts_are_kept_once_and_the_watermark_moves(client: httpx.AsyncClient, database: Database) -> None:
    posted = {"source": "helpdesk", "contacts": [CONTACT, CONTACT], "through": "2026-03-01T11:00:00Z"}
    assert (await post(client, "contacts", posted)).json() == counts(new=1)
    assert (await post(client, "contacts", posted)).json() == counts(known=1)
    (contact,) = rows(database, ContactRow)
    assert (contact.id, contact.customer_id, contact.reason_code) == ("t-1", "c-1", "where_is_my_order")
    assert Contacts(database).watermark() == NOON - timedelta(hours=1)


async def test_contacts_come_as_cloudevents_too(client: httpx.AsyncClient, database: Database) -> None:
    data = {"source": "helpdesk", "contacts": [CONTACT]}
    event = CloudEvent({"source": "//helpdesk", "type": "contacts", "id": "ce-1"}, data)
    assert (await post_event(client, "contacts", to_structured_event(event))).json() == counts(new=1)
    binary = to_binary_event(CloudEvent({"source": "//h", "type": "t", "datacontenttype": "application/json"}, data))
    assert (await post_event(client, "contacts", binary)).json() == counts(known=1)
    assert len(rows(database, ContactRow)) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"customer": "ana@example.org"}, "contacts.0.customer: Value error, it looks like an e-mail address"),
        ({"id": ""}, "contacts.0.id"),
        ({"id": "a\x00b"}, "contacts.0.id"),
        ({"id": "a\ud800"}, "contacts.0.id"),
        ({"occurred_at": "2026-03-01T10:00:00"}, "contacts.0.occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-10:00"}, "contacts.0.occurred_at"),
        ({"resolved_at": "2026-03-01T09:59:59Z"}, "contacts.0: Value error, resolved_at is before occurred_at"),
        ({"handle_seconds": -1}, "contacts.0.handle_seconds"),
        ({"handle_seconds": 1.5}, "contacts.0.handle_seconds"),
        ({"reason_code": "call +14155550123"}, "contacts.0.reason_code: Value error, it looks like a phone number"),
        ({"withdrawn": "maybe"}, "contacts.0.withdrawn"),
        ({"text": "hello"}, "contacts.0.text"),
    ],
)
async def test_a_malformed_contact_is_named_and_nothing_is_kept(
    client: httpx.AsyncClient, database: Database, change: dict[str, Any], says: str
) -> None:
    answer = await post(client, "contacts", {"source": "helpdesk", "contacts": [CONTACT, {**CONTACT, **change}][::-1]})
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert not any(value in answer.text for value in change.values() if isinstance(value, str) and "@" in value)
    assert rows(database, ContactRow) == []


async def test_contacts_are_corrected_and_withdrawn(client: httpx.AsyncClient, database: Database) -> None:
    async def told(*contacts: dict[str, Any]) -> Any:
        return (await post(client, "contacts", {"source": "helpdesk", "contacts": contacts})).json()

    closed = {**CONTACT, "handle_seconds": 300, "resolved_at": "2026-03-01T12:00:00+01:00"}
    bare = {name: value for name, value in CONTACT.items() if name != "reason_code"} | {"id": "t-2"}
    assert await told(CONTACT, bare) == counts(new=2)
    assert await told(closed, bare) == counts(corrected=1, known=1)
    assert await told(CONTACT, {**bare, "withdrawn": True}) == counts(known=1, withdrawn=1)
    (contact,) = rows(database, ContactRow)
    assert (contact.version, contact.handle_seconds, contact.resolved_at) == (2, 300, NOON - timedelta(hours=1))
    assert await told(bare, {**bare, "withdrawn": False}) == counts(new=1)
    assert [row.reason_code for row in rows(database, ContactRow)] == ["where_is_my_order", ""]


async def test_the_names_of_our_own_sources_are_taken(client: httpx.AsyncClient) -> None:
    answer = await post(client, "contacts", {"source": "replies", "contacts": [CONTACT]})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "source: it is what our own contacts are kept under; use another name",
    )


async def test_what_has_not_come_yet_is_not_known(client: httpx.AsyncClient) -> None:
    answer = await post(client, "contacts", {"source": "helpdesk", "through": "2026-03-02T12:00:00Z"})
    assert answer.status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"source": "x", "contacts": NaN}', b"[" * 100_000])
async def test_what_is_no_json_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/contacts", content=body, headers=webhook(body, SECRETS["contacts"]))
    assert answer.status_code in (400, 422)


# -- events


async def test_events_are_kept_as_they_were_told(client: httpx.AsyncClient, database: Database) -> None:
    full = {**EVENT, "subject": "o-1", "customer": "c-1", "data": {"hours": 30, "to": {"x": [None, 1.5]}, "n": "\x00"}}
    assert (await post(client, "events", {"events": [full, {**EVENT, "id": "e-2"}]})).json() == {"new": 2}
    assert (await post(client, "events", {"events": [full]})).json() == {"new": 0}
    first, second = rows(database, EventRow)
    assert (first.type, first.subject, first.customer_id) == ("order.delayed", "o-1", "c-1")
    assert first.occurred_at == NOON - timedelta(hours=3)
    assert first.data == full["data"]
    assert (second.subject, second.customer_id, second.data) == ("", None, {})


async def test_a_cloudevent_tells_itself(client: httpx.AsyncClient, database: Database) -> None:
    about = {
        "source": "//shop",
        "type": "order.delayed",
        "id": "ce-1",
        "subject": "o-1",
        "time": NOON,
        "customer": "c-1",
    }
    message = to_structured_event(CloudEvent(dict(about), {"hours": 30}))
    for new in (1, 0):
        assert (await post_event(client, "events", message)).json() == {"new": new}
    (row,) = rows(database, EventRow)
    assert (row.source, row.event_id, row.type, row.subject) == ("//shop", "ce-1", "order.delayed", "o-1")
    assert (row.customer_id, row.occurred_at, row.data) == ("c-1", NOON, {"hours": 30})


async def test_what_nobody_signed_is_not_read(client: httpx.AsyncClient, database: Database) -> None:
    message = to_binary_event(CloudEvent({"source": "//shop", "type": "order.delayed"}, {"hours": 30}))
    message.headers["content-type"] = "application/json"
    answer = await post_event(client, "events", message)
    assert (answer.status_code, "structured" in answer.text) == (415, True)
    assert rows(database, EventRow) == []


@pytest.mark.parametrize("missing", ["id", "source", "type", "time", "specversion"])
async def test_a_cloudevent_without_what_makes_it_one_is_malformed(
    client: httpx.AsyncClient, database: Database, missing: str
) -> None:
    about = {"source": "//shop", "type": "order.delayed", "id": "ce-1", "time": NOON}
    value = json.loads(to_structured_event(CloudEvent(about, {})).body)
    del value[missing]
    body = as_json(value)
    answer = await post_event(client, "events", HTTPMessage({"content-type": "application/cloudevents+json"}, body))
    assert answer.status_code in (400, 422)
    assert rows(database, EventRow) == []


@pytest.mark.parametrize(
    "value", [[], 1, None, "x", {"specversion": "1.0", "id": 1}, {"specversion": "1.0", "id": "a", "time": 5}]
)
async def test_whatever_is_no_cloudevent_is_malformed(client: httpx.AsyncClient, value: object) -> None:
    message = HTTPMessage({"content-type": "application/cloudevents+json"}, as_json(value))
    assert (await post_event(client, "events", message)).status_code in (400, 422)


async def test_a_customers_events_are_erased_with_them(client: httpx.AsyncClient, database: Database) -> None:
    await post(client, "events", {"events": [{**EVENT, "subject": "o-1", "customer": "c-1", "data": {"city": "Bonn"}}]})
    Erasure(database).forget("c-1", "gone-1", by="ana", at=NOON)
    (row,) = rows(database, EventRow)
    assert (row.customer_id, row.subject, row.data, row.type) == ("gone-1", "", {}, "order.delayed")


# -- conditions


async def test_a_condition_is_kept_before_it_is_acknowledged(client: httpx.AsyncClient, database: Database) -> None:
    for id_ in ("msg_1", "msg_2"):
        answer = await post(client, "conditions", CONDITION, id_=id_)
        assert (answer.status_code, answer.json()) == (202, {"outreach": "outreach/late_delivery/sweep-1/1"})
    (row,) = rows(database, ArrivalRow)
    assert (row.source, row.key, row.done_at) == ("conditions", "outreach/late_delivery/sweep-1/1", None)


async def test_news_counts_once_by_its_id(client: httpx.AsyncClient, database: Database) -> None:
    news = {"event": "condition_cleared", "trigger": "late_delivery", "key": "sweep-1"}
    for id_ in ("msg_1", "msg_1", "msg_2"):
        assert (await post(client, "conditions", news, id_=id_)).status_code == 202
    assert (await post(client, "conditions", {**news, "event_id": "n-1"}, id_="msg_3")).status_code == 202
    assert [row.body["event_id"] for row in rows(database, ArrivalRow)] == ["msg_1", "msg_2", "n-1"]


async def test_a_condition_comes_as_a_cloudevent_too(client: httpx.AsyncClient, database: Database) -> None:
    event = CloudEvent({"source": "//shop", "type": "condition", "id": "ce-1"}, CONDITION)
    assert (await post_event(client, "conditions", to_structured_event(event))).status_code == 202
    assert (await post(client, "conditions", CONDITION)).status_code == 202
    assert len(rows(database, ArrivalRow)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"key": "ana@example.org"},
        {"key": "a/b"},
        {"subjects": []},
        {"subjects": [{"key": "o-1", "customer": "+491711234567"}]},
        {"detected_at": "yesterday"},
        {"unheard": "of"},
        {"event": "condition_exploded"},
    ],
)
async def test_a_malformed_condition_is_not_kept(
    client: httpx.AsyncClient, database: Database, change: dict[str, Any]
) -> None:
    assert (await post(client, "conditions", {**CONDITION, **change})).status_code == 422
    assert rows(database, ArrivalRow) == []


async def test_a_database_that_does_not_answer_is_said_without_what_was_posted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = Database(open_engine(f"sqlite:///{tmp_path / 'empty.db'}"))
    app = create_app(Settings.load(_env_file=None, **given()), empty, clock=lambda: NOON)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as client:
        answer = await post(client, "contacts", {"source": "helpdesk", "contacts": [CONTACT]})
    empty.close()
    assert (answer.status_code, answer.json()) == (503, {"detail": "the database does not answer"})
    assert "t-1" not in caplog.text
    assert "does not answer" in caplog.text
