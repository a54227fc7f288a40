"""What customers write back, as Twilio and mailboxes hand it on: signed, without quotations, and obeyed at once."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlmodel import select

from tellfirst.channels.notify_file import read_notifiers
from tellfirst.client import OutreachClient
from tellfirst.errors import NotFoundError
from tellfirst.settings import Settings
from tellfirst.signing.links import MailNames
from tellfirst.store.consents import Consents
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.notices import Notices
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.replies import Replies, ReplyRecord, reply_id
from tellfirst.store.tables import ContactRow
from tellfirst.web.app import create_app
from tellfirst.web.escalating import ReplyEscalations
from tellfirst.web.quoted import without_quotes
from tests.store.make import claim, freeze
from tests.web.rows import OUTREACH, opted_out, put_sends
from tests.web.signing import NOON, SECRETS, as_json, given, twilio, webhook

SEND = "5e" * 16
SID = "SM" + "a" * 32
NUMBER = f"{SEND}@example.org"  # what stands for a number here
PATH = "/twilio/inbound"


def app_of(database: Database, folder: Path, **more: Any) -> httpx.AsyncClient:
    app = create_app(
        Settings.load(_env_file=None, data_dir=folder, **{**given(), **more}), database, clock=lambda: NOON
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside/")


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Is on SQLite alone: what differs between the databases is tried where the store is."""
    shutil.copy(migrated_sqlite, tmp_path / "tellfirst.db")
    opened = Database(open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}"))
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_of(database, tmp_path) as made:
        yield made


async def text(client: httpx.AsyncClient, body: str, **fields: str) -> httpx.Response:
    """Hands on a text as Twilio does: signed over every field, blank ones too."""
    form = {
        "MessageSid": SID,
        "From": NUMBER,
        "To": "+15550009999",
        "Body": body,
        "NumMedia": "0",
        "FromCity": "",
        **fields,
    }
    content, headers = twilio(PATH, form)
    return await client.post(PATH, content=content, headers=headers)


async def mail(client: httpx.AsyncClient, body: str, **fields: Any) -> httpx.Response:
    """Hands on a mail as a mailbox does."""
    content = as_json({"id": "<m-1@mail.example.net>", "from": f"Ann <{NUMBER}>", "text": body, **fields})
    return await client.post("/replies", content=content, headers=webhook(content, SECRETS["replies"]))


def kept(database: Database) -> list[ReplyRecord]:
    return Replies(database).of(OUTREACH)


async def test_a_text_is_kept_with_what_it_answers(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "SM" + "b" * 32)])
    answer = await text(client, "Thanks for letting me know!")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text.endswith("<Response/>")
    (one,) = kept(database)
    assert (one.customer, one.kind, one.tone, one.text) == (
        f"c-{SEND}",
        "reply",
        "thanks",
        "Thanks for letting me know!",
    )
    with database.read() as session:
        assert [row.id for row in session.exec(select(ContactRow))] == [one.id]


@pytest.mark.parametrize("body", ["STOP", "Stop. Thank you", "🛑 stopp!", "revoke", "ARRET"])
async def test_an_opt_out_holds_when_it_is_acknowledged(
    client: httpx.AsyncClient, database: Database, body: str
) -> None:
    put_sends(database, [(SEND, "twilio", "p")])
    for _ in range(2):
        assert (await text(client, body)).status_code == 200
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]
    assert len(kept(database)) == 1


async def test_what_the_provider_understood_counts_before_the_words(
    client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "twilio", "p")])
    await text(client, "desuscribir", OptOutType="STOP")
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]


async def test_help_is_the_carriers_on_a_text_and_a_persons_elsewhere(
    client: httpx.AsyncClient, database: Database
) -> None:
    put_sends(database, [(SEND, "twilio", "p")])
    await text(client, "HELP")
    await text(client, "HELP", MessageSid="SM2", From=f"whatsapp:{NUMBER}")
    assert sorted((one.channel, one.kind, one.need) for one in kept(database)) == [
        ("sms", "help", ""),
        ("whatsapp", "reply", "person"),
    ]


async def test_doubtful_words_hold_and_call_a_person(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "p")])
    await text(client, "We have got to STOP this bill")
    assert opted_out(database) == []
    assert [hold.customer for hold in Consents(database).holds()] == [f"c-{SEND}"]
    assert [one.need for one in kept(database)] == ["doubt"]


@pytest.mark.parametrize("what", ["body", "sender", "signature", "blank"])
async def test_a_forged_text_is_nothing(client: httpx.AsyncClient, database: Database, what: str) -> None:
    put_sends(database, [(SEND, "twilio", "p")])
    form = {"MessageSid": SID, "From": NUMBER, "Body": "STOP", "FromCity": ""}
    content, headers = twilio(PATH, form, token="another" if what == "signature" else "0123456789abcdef")
    content = {
        "body": content.replace(b"STOP", b"STOPP"),
        "sender": content.replace(b"5e5e", b"5e5f", 1),
        "blank": content.replace(b"&FromCity=", b""),
    }.get(what, content)
    assert (await client.post(PATH, content=content, headers=headers)).status_code == 403
    assert opted_out(database) == []
    assert kept(database) == []


async def test_a_mail_is_read_without_what_it_quotes(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    quoted = (
        "Danke!\n\nAm Mo., 1. März 2026 um 12:00 schrieb Shop <a@shop.example>:\n> STOP zum Abmelden\n> unsubscribe"
    )
    answer = await mail(client, quoted)
    assert answer.status_code == 200
    assert answer.json() == {"reply": reply_id("email:<m-1@mail.example.net>"), "kind": "reply"}
    (one,) = kept(database)
    assert (one.tone, one.text) == ("thanks", "Danke!")
    assert (await mail(client, quoted)).json() == {"reply": "", "kind": "reply"}


async def test_a_mail_from_elsewhere_is_known_by_our_message_id(
    client: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    name = MailNames(Settings.load(_env_file=None, data_dir=tmp_path, **given()).digest_key()).of(SEND)
    refers = {"in_reply_to": "<other@x>", "references": f"<a@b> <{name}@mail.shop.example>"}
    await mail(client, "Unsubscribe", **{"from": "forwarded@elsewhere.example"}, **refers)
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]


@pytest.mark.parametrize("name", [SEND, f"{SEND}.{'0' * 20}", MailNames(b"another").of(SEND)], ids=range(3))
async def test_a_stranger_who_guesses_a_send_speaks_for_nobody(
    client: httpx.AsyncClient, database: Database, name: str
) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    for number, words in enumerate(("Unsubscribe", "Please stop the parcel, I will sue you")):
        refers = {"in_reply_to": f"<{name}@mail.shop.example>", "id": f"<{number}@elsewhere.example>"}
        await mail(client, words, **{"from": "stranger@elsewhere.example"}, **refers)
    assert (opted_out(database), Consents(database).holds(), kept(database)) == ([], [], [])


async def test_the_mail_programs_own_way_to_unsubscribe(client: httpx.AsyncClient, database: Database) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    await mail(client, "", subject="unsubscribe")
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]


@pytest.mark.parametrize(
    "sign",
    [
        {"auto_submitted": "auto-replied"},
        {"precedence": "bulk"},
        {"subject": "Automatic reply: Your parcel"},
        {"subject": "Abwesenheitsnotiz: Ihr Paket"},
        {"subject": "Out of Office"},
    ],
    ids=str,
)
async def test_what_a_program_answers_is_nobodys_word(
    client: httpx.AsyncClient, database: Database, sign: dict[str, str]
) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    await mail(client, "I am away. To stop these answers, unsubscribe. STOP", **sign)
    (one,) = kept(database)
    assert (one.kind, one.need) == ("automatic", "")
    assert opted_out(database) == []
    assert Consents(database).holds() == []
    with database.read() as session:
        assert session.exec(select(ContactRow)).all() == []


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"id": "1", "from": ""}', b'{"id": "1", "from": "<>"}', b"nonsense"])
async def test_what_is_no_reply_is_refused(client: httpx.AsyncClient, database: Database, body: bytes) -> None:
    answer = await client.post("/replies", content=body, headers=webhook(body, SECRETS["replies"]))
    assert answer.status_code in (400, 422)
    assert Replies(database).of(None) == []


async def test_an_unsigned_mail_is_nothing(client: httpx.AsyncClient, database: Database) -> None:
    content = as_json({"id": "1", "from": NUMBER, "text": "STOP"})
    assert (
        await client.post("/replies", content=content, headers=webhook(content, SECRETS["events"]))
    ).status_code == 403
    assert Replies(database).of(None) == []


class Temporal(OutreachClient):
    """Remembers whom it told what; an outreach that has ended is not there."""

    def __init__(self, *, ended: bool) -> None:
        self._ended = ended
        self.escalated: list[tuple[str, str, str, str]] = []
        self.notices: list[str] = []

    async def escalate(self, outreach: str, kind: Any, *, note: str, event_id: str = "", by: str = "") -> None:
        if self._ended:
            raise NotFoundError("it has ended")
        self.escalated.append((outreach, kind, note, event_id))

    async def tell_people(self, notice: str) -> None:
        self.notices.append(notice)


def escalations(database: Database) -> ReplyEscalations:
    return ReplyEscalations(Outreaches(database), Notices(database), read_notifiers(None), clock=lambda: NOON)


async def test_an_outreach_is_told_of_a_reply_that_needs_a_person(database: Database) -> None:
    temporal = Temporal(ended=False)
    for need in ("doubt", "person", "anger"):
        await escalations(database).tell({"outreach": OUTREACH, "need": need, "reply": "reply-1"}, temporal)
    assert [(outreach, kind, id_) for outreach, kind, _, id_ in temporal.escalated] == [
        (OUTREACH, "raised", "reply-1"),
        (OUTREACH, "raised", "reply-1"),
        (OUTREACH, "negative_reply", "reply-1"),
    ]
    assert all(f"tellfirst replies {OUTREACH} --text" in note for _, _, note, _ in temporal.escalated)


async def test_its_owner_is_told_when_it_has_ended(database: Database) -> None:
    claim(database)
    freeze(database)
    temporal = Temporal(ended=True)
    for _ in range(2):
        await escalations(database).tell({"outreach": OUTREACH, "need": "person", "reply": "reply-1"}, temporal)
    (notice,) = Notices(database).of(OUTREACH)
    assert (notice.to, notice.kind) == ("Delivery", "raised")
    assert Notices(database).undelivered(notice.id)
    assert set(temporal.notices) == {notice.id}


QUOTED = [
    ("Stop. Thank you\n\nOn Mon, 1 Mar 2026 at 12:00, Shop <a@b.c> wrote:\n> Reply START", "Stop. Thank you"),
    ("> all of it\n> is ours: STOP", ""),
    ("first\n> STOP\nsecond", "first\nsecond"),
    (
        "when?\r\n\r\nFrom: Shop <a@b.c>\r\nSent: Monday, March 1, 2026\r\nTo: x@y.z\r\nSubject: late\r\n\r\nSTOP",
        "when?",
    ),
    ("", ""),
    ("\x00ok", "ok"),
]


@pytest.mark.parametrize(("text", "left"), QUOTED)
def test_quotations_are_left_out(text: str, left: str) -> None:
    assert without_quotes(text) == left


@pytest.mark.timeout(20)
@pytest.mark.parametrize("word", ["Am schrieb ", "On ", "On x wrote ", "> On ", "From: "])
def test_no_mail_keeps_us_busy(word: str) -> None:
    without_quotes(word * 10_000)
