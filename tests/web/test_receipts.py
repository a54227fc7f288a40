"""Receipts as Twilio sends them, signed by its own SDK: forged ones are refused, any order ends alike."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from sqlmodel import select
from twilio.request_validator import RequestValidator

from tellfirst.channels.receipts import judge
from tellfirst.domain.message import SendState
from tellfirst.settings import Settings
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.tables import ReceiptRow, RecipientRow, SendRow
from tellfirst.web.app import create_app
from tellfirst.web.bodies import SMALL

PUBLIC = "https://hooks.example.org/tellfirst"
TOKEN = "0123456789abcdef"
SID = "SM" + "a" * 32
SEND = "5e" * 16
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
S = SendState


def settings(**given: object) -> Settings:
    base = {"public_url": PUBLIC, "twilio_auth_token": TOKEN}
    return Settings.load(_env_file=None, **{**base, **given})


def client_of(database: Database, **given: object) -> httpx.AsyncClient:
    app = create_app(settings(**given), database, clock=lambda: NOON)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside:8090/")


@pytest_asyncio.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(database) as made:
        yield made


def put(database: Database, state: SendState, *, provider_id: str = SID, id_: str = SEND) -> None:
    """Puts one send into the effect log."""
    with database.write() as session:
        row = RecipientRow(
            outreach_id="o", revision=1, position=len(id_), customer_id="c", subject_key=id_, cluster="c", facts={},
            verdict="eligible",
        )  # fmt: skip
        row.position = len(session.exec(select(RecipientRow)).all())
        session.add(row)
        session.flush()
        assert row.id is not None
        session.add(
            SendRow(
                id=id_, outreach_id="o", revision=1, recipient_id=row.id, customer_id="c", step="initial",
                channel="sms", page=0, state=state, adapter="twilio", provider_id=provider_id,
            )
        )  # fmt: skip


def sent(database: Database, id_: str = SEND) -> tuple[str, str, str]:
    """Returns the state, provider id and reason of a send."""
    with database.read() as session:
        row = session.get_one(SendRow, id_)
        return row.state, row.provider_id, row.reason


def kept(database: Database) -> list[tuple[str | None, str, str, str]]:
    with database.read() as session:
        rows = session.exec(select(ReceiptRow)).all()
        return [(r.send_id, r.provider_id, r.status, r.error) for r in rows]


async def report(
    client: httpx.AsyncClient, status: str, *, query: str = f"d={SEND}", token: str = TOKEN, **fields: str
) -> httpx.Response:
    """Posts a receipt as Twilio does: signed over the public address and every field."""
    form = {"MessageSid": SID, "MessageStatus": status, "To": "+14155550100", **fields}
    path = "/twilio/status" + ("?" + query if query else "")
    signature = RequestValidator(token).compute_signature(PUBLIC + path, form)
    return await client.post(
        path,
        content=urlencode(form),
        headers={"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"},
    )


async def test_a_receipt_is_kept_and_moves_its_send(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    answer = await report(client, "delivered")
    assert (answer.status_code, answer.content) == (204, b"")
    assert kept(database) == [(SEND, SID, "delivered", "")]
    assert sent(database) == ("delivered", SID, "receipt")


async def test_why_it_did_not_arrive_stands_beside_it(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    await report(client, "undelivered", ErrorCode="30005")
    assert sent(database) == ("undelivered", SID, "receipt:30005")


async def test_blank_fields_are_part_of_the_signature(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    assert (await report(client, "sent", ErrorMessage="", RawDlrDoneDate="")).status_code == 204


async def test_the_address_is_checked_as_it_was_written(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    assert (await report(client, "delivered", query=f"x=%7E%2f+a&blank=&d={SEND}")).status_code == 204
    assert sent(database)[0] == "delivered"


@pytest.mark.parametrize("change", ["token", "field", "query", "none"])
async def test_what_twilio_did_not_sign_is_refused(client: httpx.AsyncClient, database: Database, change: str) -> None:
    put(database, S.ACCEPTED)
    form, path = {"MessageSid": SID, "MessageStatus": "delivered"}, f"/twilio/status?d={SEND}"
    signature = RequestValidator("another" if change == "token" else TOKEN).compute_signature(PUBLIC + path, form)
    answer = await client.post(
        path + ("&x=1" if change == "query" else ""),
        data={**form, "MessageStatus": "read"} if change == "field" else form,
        headers={} if change == "none" else {"X-Twilio-Signature": signature},
    )
    assert answer.status_code == 403
    assert kept(database) == []
    assert sent(database)[0] == "accepted"


async def test_bytes_that_are_no_form_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/twilio/status", content=b"\xff\x00\xfe=%ff", headers={"X-Twilio-Signature": "x"})
    assert answer.status_code == 403


async def test_a_receipt_without_a_message_is_malformed(client: httpx.AsyncClient, database: Database) -> None:
    assert (await report(client, "")).status_code == 400
    assert kept(database) == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_without_end_is_cut_off(client: httpx.AsyncClient, chunked: bool) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"a" * (SMALL // 2)

    content = stream() if chunked else b"a" * (SMALL + 1)
    assert (await client.post("/twilio/status", content=content)).status_code == 413


@pytest.mark.parametrize("missing", ["public_url", "twilio_auth_token"])
async def test_without_settings_it_names_them(database: Database, missing: str) -> None:
    async with client_of(database, **{missing: ""}) as client:
        answer = await report(client, "delivered")
        assert answer.status_code == 503
        assert "TELLFIRST_PUBLIC_URL and TWILIO_AUTH_TOKEN" in answer.json()["detail"]
    assert kept(database) == []


async def test_a_receipt_about_nobody_is_kept(client: httpx.AsyncClient, database: Database) -> None:
    assert (await report(client, "sent", query="d=nobody")).status_code == 204
    assert (await report(client, "delivered", query="")).status_code == 204
    assert kept(database) == [("nobody", SID, "sent", ""), (None, SID, "delivered", "")]


async def test_an_unheard_of_status_is_kept_and_changes_nothing(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    assert (await report(client, "teleported")).status_code == 204
    assert kept(database) == [(SEND, SID, "teleported", "")]
    assert sent(database) == ("accepted", SID, "")


async def test_duplicates_are_one(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED)
    for _ in range(3):
        assert (await report(client, "undelivered", ErrorCode="30005")).status_code == 204
    await report(client, "undelivered", ErrorCode="30006")
    assert [error for *_, error in kept(database)] == ["30005", "30006"]


ORDERS = list(permutations(["queued", "sent", "undelivered", "delivered"]))


@pytest.mark.parametrize("start", [S.ACCEPTED, S.INTENT, S.UNKNOWN])
async def test_any_order_ends_alike(client: httpx.AsyncClient, database: Database, start: SendState) -> None:
    for number, order in enumerate(ORDERS):
        id_, sid = f"{number:032x}", f"SM{number:032x}"
        put(database, start, provider_id=sid if start is S.ACCEPTED else "", id_=id_)
        for status in [*order, random.Random(number).choice(order)]:
            await report(client, status, query=f"d={id_}", MessageSid=sid)
        assert sent(database, id_) == ("delivered", sid, "receipt"), order


async def test_every_prefix_is_what_its_receipts_amount_to(client: httpx.AsyncClient, database: Database) -> None:
    for number, order in enumerate(permutations(["sent", "failed", "undelivered"])):
        id_, sid = f"{number:032x}", f"SM{number:032x}"
        put(database, S.UNKNOWN, provider_id="", id_=id_)
        for upto in range(1, 4):
            await report(client, order[upto - 1], query=f"d={id_}", MessageSid=sid)
            assert sent(database, id_)[0] == judge("twilio", [(s, "") for s in order[:upto]]).state


@pytest.mark.parametrize("state", [S.PLANNED, S.DEFERRED, S.WITHHELD, S.FAILED])
async def test_what_never_left_is_not_moved(client: httpx.AsyncClient, database: Database, state: SendState) -> None:
    for id_, sid in ((SEND, ""), ("ab" * 16, SID)):
        put(database, state, provider_id=sid, id_=id_)
    assert (await report(client, "delivered")).status_code == 204
    assert sent(database) == (state, "", "")
    assert sent(database, "ab" * 16)[0] == state
    assert kept(database) == [(SEND, SID, "delivered", "")]


@pytest.mark.parametrize("state", [S.INTENT, S.UNKNOWN])
@pytest.mark.parametrize("status", ["queued", "delivered", "undelivered"])
async def test_proof_ends_doubt(client: httpx.AsyncClient, database: Database, state: SendState, status: str) -> None:
    put(database, state, provider_id="")
    await report(client, status)
    assert sent(database)[:2] == (judge("twilio", [(status, "")]).state, SID)


async def test_a_send_does_not_take_another_message_for_its_own(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.ACCEPTED, provider_id="SM" + "b" * 32)
    await report(client, "delivered")
    assert sent(database)[:2] == ("accepted", "SM" + "b" * 32)


async def test_one_message_is_not_the_proof_of_two_sends(client: httpx.AsyncClient, database: Database) -> None:
    put(database, S.UNKNOWN, provider_id="")
    put(database, S.ACCEPTED, provider_id=SID, id_="ab" * 16)
    await report(client, "delivered")
    assert sent(database)[0] == "unknown"
    assert sent(database, "ab" * 16)[0] == "delivered"


async def test_health_is_the_databases(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    empty = Database(open_engine(f"sqlite:///{tmp_path / 'empty.db'}"))
    async with client_of(empty) as other:
        answer = await other.get("/healthz")
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    empty.close()


async def test_nothing_else_answers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/redoc"):
        assert (await client.get(path)).status_code == 404
