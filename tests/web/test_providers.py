"""SendGrid, Resend and an app's backend report, signed as they sign: what is kept, moved, obeyed and refused."""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from sendgrid.helpers.eventwebhook import EventWebhook
from sqlmodel import select

from tellfirst.domain.message import SendState
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.engine import Database
from tellfirst.store.tables import ReceiptRow
from tellfirst.store.tables_arrivals import ArrivalRow
from tellfirst.web.app import create_app
from tellfirst.web.sendgrid import SendGridEvent, fits, read_event, read_key
from tests.web.rows import blocked, opted_out, put_sends, state_of, unusable
from tests.web.signing import NOON, SECRETS, SENDGRID, as_json, given, public_key, sendgrid, twilio, webhook

SEND, OTHER = "5e" * 16, "ab" * 16


@pytest.fixture
def app(database: Database) -> FastAPI:
    return create_app(Settings.load(_env_file=None, **given()), database, clock=lambda: NOON)


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as made:
        yield made


def kept(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        return sorted((r.provider_id, r.status, r.error) for r in session.exec(select(ReceiptRow)))


async def post_sendgrid(app: FastAPI, client: httpx.AsyncClient, *events: Mapping[str, Any]) -> httpx.Response:
    body = as_json(
        [{"email": "ana@example.org", "timestamp": 1, "sg_event_id": str(n), **e} for n, e in enumerate(events)]
    )
    answer = await client.post("/sendgrid/events", content=body, headers=sendgrid(body))
    await app.state.work.work_off("sendgrid", None)
    return answer


async def test_sendgrid_events_move_the_send_that_they_name(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "sendgrid", "x-1"), (OTHER, "sendgrid", "x-1")])
    answer = await post_sendgrid(
        app,
        client,
        {"event": "delivered", "send_id": SEND, "sg_message_id": "x-1.recvd-1"},
        {"event": "processed", "send_id": SEND, "sg_message_id": "x-1.recvd-1"},
        {"event": "open", "send_id": SEND, "sg_machine_open": True},
        {"event": "open", "send_id": SEND, "useragent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"},
        {"event": "dropped", "send_id": OTHER, "reason": "550 <ana@example.org> is nobody"},
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert state_of(database, SEND) == ("delivered", "receipt")
    assert state_of(database, OTHER) == ("undelivered", "receipt:other")
    assert kept(database) == [
        (SEND, "delivered", ""),
        (SEND, "machine_open", ""),
        (SEND, "open", ""),
        (SEND, "processed", ""),
        (OTHER, "dropped", "other"),
    ]


@pytest.mark.parametrize(
    ("event", "word"),
    [
        ({"sg_machine_open": True}, "machine_open"),
        # Behind a host of our own SendGrid does not know Apple's proxies; they call themselves so and no more.
        ({"sg_machine_open": False, "useragent": "Mozilla/5.0"}, "machine_open"),
        ({"sg_machine_open": "yes", "useragent": "Mozilla/5.0 (Windows NT 10.0)"}, "open"),
        ({}, "open"),
    ],
)
def test_what_a_machine_opened_nobody_has_read(event: dict[str, Any], word: str) -> None:
    read = read_event(SendGridEvent.model_validate({"event": "open", "send_id": SEND, **event}))
    assert read is not None
    assert read.status == word


async def test_sendgrid_events_without_our_id_are_known_by_the_mail(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "sendgrid", "x-1")])
    await post_sendgrid(
        app, client, {"event": "delivered", "sg_message_id": "x-1.recvd-1-2"}, {"event": "group_resubscribe"}
    )
    assert state_of(database, SEND)[0] == "delivered"


@pytest.mark.parametrize(
    ("event", "out", "dead"),
    [
        ({"event": "spamreport"}, True, False),
        ({"event": "unsubscribe"}, True, False),
        ({"event": "group_unsubscribe"}, True, False),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, True, False),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, False, True),
        ({"event": "dropped", "reason": "Bounced Address"}, False, True),
        ({"event": "bounce", "type": "blocked", "status": "4.2.2"}, False, False),
        ({"event": "deferred"}, False, False),
    ],
)
async def test_what_a_mail_event_asks_for_is_obeyed_once(
    app: FastAPI, client: httpx.AsyncClient, database: Database, event: dict[str, str], out: bool, dead: bool
) -> None:
    put_sends(database, [(SEND, "sendgrid", "x-1"), (OTHER, "sendgrid", "x-1")])
    for _ in range(2):
        await post_sendgrid(app, client, {**event, "send_id": SEND})
        await post_sendgrid(app, client, {**event, "send_id": SEND}, {"event": "deferred", "send_id": "x"})
    assert opted_out(database) == ([(f"c-{SEND}", "*", "*")] if out else [])
    assert unusable(database) == ([f"c-{SEND}"] if dead else [])


async def test_no_address_is_kept_of_a_batch(app: FastAPI, client: httpx.AsyncClient, database: Database) -> None:
    body = as_json([{"event": "bounce", "email": "ana@example.org", "send_id": SEND, "reason": "ana@example.org"}])
    await client.post("/sendgrid/events", content=body, headers=sendgrid(body))
    with database.read() as session:
        waiting = session.exec(select(ArrivalRow)).one()
    assert "ana@" not in str(waiting.body)
    await app.state.work.work_off("sendgrid", None)
    with database.read() as session:
        done = session.exec(select(ArrivalRow)).one()
    assert (done.body, done.done_at, done.error) == ({}, NOON, "")
    assert Arrivals(database).waiting() == 0


@pytest.mark.parametrize("change", ["body", "key", "stale", "early", "signature", "trimmed", "none"])
async def test_what_sendgrid_did_not_sign_is_refused(
    client: httpx.AsyncClient, database: Database, change: str
) -> None:
    body = as_json([{"event": "delivered", "send_id": SEND}]) + b"\r\n"
    at = NOON + {"stale": -1, "early": 1}.get(change, 0) * timedelta(seconds=301)
    headers = sendgrid(body, at=at, key=ec.generate_private_key(ec.SECP256R1()) if change == "key" else SENDGRID)
    if change == "signature":
        headers["X-Twilio-Email-Event-Webhook-Signature"] = "AAAA"
    if change == "none":
        headers = {}
    content = {"body": body.replace(b"delivered", b"bounce"), "trimmed": body.strip()}.get(change, body)
    answer = await client.post("/sendgrid/events", content=content, headers=headers)
    assert answer.status_code == 403
    assert Arrivals(database).waiting() == 0


def test_sendgrids_own_library_says_the_same() -> None:
    body, oracle = as_json([{"event": "open"}]), EventWebhook(public_key(SENDGRID))
    headers = sendgrid(body)
    signature, at = (headers[f"X-Twilio-Email-Event-Webhook-{name}"] for name in ("Signature", "Timestamp"))
    for changed in (body, body + b" "):
        said = oracle.verify_signature(changed.decode(), signature, at)
        assert fits(read_key(public_key(SENDGRID)), at, changed, signature) == said == (changed == body)


@pytest.mark.parametrize("key", ["", "nonsense", base64.b64encode(b"no key").decode()])
def test_a_key_that_is_none_is_said_at_once(key: str) -> None:
    with pytest.raises(SettingsError, match="TELLFIRST_SENDGRID_KEYS"):
        read_key(key)


@pytest.mark.parametrize(
    ("event", "out", "dead", "state"),
    [
        ({"type": "email.delivered"}, False, False, "delivered"),
        ({"type": "email.complained"}, True, False, "accepted"),
        (
            {"type": "email.bounced", "bounce": {"type": "Permanent", "message": "ana@example.org"}},
            False,
            True,
            "undelivered",
        ),
        ({"type": "email.bounced", "bounce": {"type": "Transient"}}, False, False, "undelivered"),
        ({"type": "email.opened"}, False, False, "accepted"),
        ({"type": "email.teleported"}, False, False, "accepted"),
        ({"type": "contact.created"}, False, False, "accepted"),
    ],
)
async def test_resend_events(
    client: httpx.AsyncClient, database: Database, event: dict[str, Any], out: bool, dead: bool, state: str
) -> None:
    put_sends(database, [(SEND, "resend", "r-1")])
    data = {"email_id": "r-1", "to": ["ana@example.org"], **{k: v for k, v in event.items() if k != "type"}}
    body = as_json({"type": event["type"], "created_at": "2026-03-01T12:00:00Z", "data": data})
    for _ in range(2):
        headers = webhook(body, SECRETS["resend"], names="svix")
        assert (await client.post("/resend/events", content=body, headers=headers)).status_code == 204
    assert state_of(database, SEND)[0] == state
    assert opted_out(database) == ([(f"c-{SEND}", "*", "*")] if out else [])
    assert unusable(database) == ([f"c-{SEND}"] if dead else [])
    assert "ana@" not in str(kept(database))


async def test_what_resend_did_not_sign_is_refused(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "resend", "r-1")])
    body = as_json({"type": "email.complained", "data": {"email_id": "r-1"}})
    signed = webhook(body, SECRETS["resend"], names="svix")
    for content, headers in ((body, {}), (body + b" ", signed), (body, {**signed, "svix-id": "msg_9"})):
        answer = await client.post("/resend/events", content=content, headers=headers)
        assert answer.status_code == 403
    assert kept(database) == []
    assert opted_out(database) == []


async def test_resend_proves_a_send_in_doubt_by_its_tag(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "resend", "")], state=SendState.UNKNOWN)
    body = as_json({"type": "email.sent", "data": {"email_id": "r-1", "tags": {"send_id": SEND}}})
    await client.post("/resend/events", content=body, headers=webhook(body, SECRETS["resend"], names="svix"))
    assert state_of(database, SEND)[0] == "accepted"


@pytest.mark.parametrize(
    "tags", [{"send_id": SEND}, [{"name": "send_id", "value": SEND}, 1, {}], None, "x", [[]], {"send_id": 1}]
)
async def test_tags_of_any_shape_are_read_or_left(client: httpx.AsyncClient, database: Database, tags: object) -> None:
    body = as_json({"type": "email.sent", "data": {"email_id": "r-1", "tags": tags, "bounce": [1]}})
    headers = webhook(body, SECRETS["resend"], names="svix")
    assert (await client.post("/resend/events", content=body, headers=headers)).status_code == 204
    with database.read() as session:
        named = session.exec(select(ReceiptRow.send_id)).one()
    assert named == (SEND if SEND in str(tags) else None)


async def test_one_odd_event_does_not_cost_the_others(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "sendgrid", SEND)])
    odd = ({"event": 5}, {"event": "x" * 500, "send_id": SEND}, {"event": "delivered", "send_id": ["a\x00"]}, {})
    answer = await post_sendgrid(app, client, *odd, {"event": "delivered", "send_id": SEND, "status": 250})
    assert answer.status_code == 204
    assert state_of(database, SEND)[0] == "delivered"


@pytest.mark.parametrize("status", ["received", "opened", "dismissed"])
async def test_a_device_tells_what_it_had(client: httpx.AsyncClient, database: Database, status: str) -> None:
    put_sends(database, [(SEND, "fcm", "projects/p/messages/1")])
    body = as_json({"receipts": [{"send": SEND, "status": status}, {"send": "nobody", "status": status}]})
    answer = await client.post("/push/receipts", content=body, headers=webhook(body, SECRETS["push"]))
    assert answer.status_code == 204
    assert state_of(database, SEND) == ("delivered", "receipt")
    assert kept(database) == [(SEND, status, ""), ("nobody", status, "")]


async def test_what_is_signed_for_one_path_counts_on_no_other(client: httpx.AsyncClient, database: Database) -> None:
    body = as_json({"receipts": [{"send": SEND, "status": "opened"}]})
    for path, name in (
        ("/push/receipts", "events"),
        ("/events", "push"),
        ("/contacts", "push"),
        ("/conditions", "push"),
    ):
        assert (await client.post(path, content=body, headers=webhook(body, SECRETS[name]))).status_code == 403
    assert kept(database) == []


async def test_a_blocked_text_stops_its_outreach_and_an_opt_out_is_obeyed(
    client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "twilio", "SM1"), (OTHER, "twilio", "SM2")])
    for sid, error in (("SM1", "30007"), ("SM2", "21610")):
        form = {"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": error}
        body, headers = twilio("/twilio/status", form)
        assert (await client.post("/twilio/status", content=body, headers=headers)).status_code == 204
    assert blocked(database) == "provider_block:30007"
    assert opted_out(database) == [(f"c-{OTHER}", "*", "*")]


async def test_calls_and_whatsapp_are_named_their_own_way(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "CA1"), (OTHER, "twilio", "SM2")])
    for form in ({"CallSid": "CA1", "CallStatus": "no-answer"}, {"SmsSid": "SM2", "MessageStatus": "read"}):
        body, headers = twilio("/twilio/status", form)
        assert (await client.post("/twilio/status", content=body, headers=headers)).status_code == 204
    assert state_of(database, SEND)[0] == "undelivered"
    assert state_of(database, OTHER)[0] == "delivered"


async def test_an_opt_out_may_close_one_channel_alone(database: Database) -> None:
    put_sends(database, [(SEND, "sendgrid", "x-1")])
    app = create_app(Settings.load(_env_file=None, opt_out="channel", **given()), database, clock=lambda: NOON)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as client:
        await post_sendgrid(app, client, {"event": "spamreport", "send_id": SEND})
    assert opted_out(database) == [(f"c-{SEND}", "email", "*")]
