"""The pages behind a message's links: looking never acts, a POST does, and nothing on them tells more than it must."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from sqlmodel import update

from tellfirst.policy.consent import PURPOSES, may_contact
from tellfirst.settings import Settings
from tellfirst.signing.links import PREFERENCES, UNSUBSCRIBE, Links
from tellfirst.store.customers import Customer, CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.erasure import Erasure
from tellfirst.store.preferences import Preference
from tellfirst.store.tables import RecipientRow
from tellfirst.web.app import create_app
from tellfirst.web.pages import FOLDER, Pages
from tellfirst.web.preferences import masked
from tests.web.rows import opted_out, put_sends
from tests.web.signing import KEY, NOON, PUBLIC, given

SEND = "5e" * 16
WHO = f"c-{SEND}"
LIFETIME = timedelta(days=60)
LINKS = Links(KEY.encode(), base_url=PUBLIC, lifetime=LIFETIME)
TOKEN = LINKS.unsubscribe(SEND, NOON).rpartition("/")[2]
OLD = LINKS.unsubscribe(SEND, NOON - LIFETIME).rpartition("/")[2]
FOREIGN = Links(b"o" * 32, base_url=PUBLIC, lifetime=LIFETIME).unsubscribe(SEND, NOON).rpartition("/")[2]
ADDRESSES = {"sms": "+14155550123", "email": "ann.miller@example.org", "push": "token-0123"}
ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def app_of(database: Database, folder: Path, **more: Any) -> httpx.AsyncClient:
    ticks = count()
    app = create_app(
        Settings.load(_env_file=None, data_dir=folder, **{**given(), **more}),
        database,
        clock=lambda: NOON + timedelta(seconds=next(ticks)),
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
    put_sends(database, [(SEND, "resend", "p")])
    record = CustomerRecord(id=WHO, first_name="Ann", locale="de", addresses=ADDRESSES)
    Customers(database).save([record], now=NOON, source="test")
    with database.write() as session:
        session.execute(update(RecipientRow).values(locale="de"))
    async with app_of(database, tmp_path, human="+49 30 123456") as made:
        yield made


def customer(database: Database) -> Customer:
    return Customers(database).resolve([WHO])[WHO]


async def save(client: httpx.AsyncClient, token: str = TOKEN, **fields: Any) -> httpx.Response:
    """Posts the form as a browser does that was shown all ways and what nobody has to ask for."""
    shown = {"shown_channel": list(ADDRESSES), "shown_purpose": ["service", "transactional"]}
    chosen = {"channel": list(ADDRESSES), "purpose": ["service", "transactional"], "save": "1"}
    content = urlencode({**shown, **chosen, "quiet_from": "", "quiet_to": "", **fields}, doseq=True)
    return await client.post(PREFERENCES + token, content=content, headers=FORM)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [UNSUBSCRIBE, PREFERENCES])
async def test_looking_never_acts(client: httpx.AsyncClient, database: Database, method: str, path: str) -> None:
    for _ in range(3):
        answer = await client.request(method, path + TOKEN)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
    assert opted_out(database) == []
    assert customer(database).preference == Preference()


@pytest.mark.parametrize("body", [ONE_CLICK, f"{ONE_CLICK}\r\n"])
async def test_one_click_acts_at_once_and_twice_is_once(
    client: httpx.AsyncClient, database: Database, body: str
) -> None:
    for _ in range(3):
        answer = await client.post(UNSUBSCRIBE + TOKEN, content=body, headers=FORM)
        assert (answer.status_code, answer.content, answer.headers.get("set-cookie")) == (200, b"", None)
    assert opted_out(database) == [(WHO, "*", "*")]


async def test_one_click_in_parts(client: httpx.AsyncClient, database: Database) -> None:
    files = {"List-Unsubscribe": (None, "One-Click")}
    assert (await client.post(UNSUBSCRIBE + TOKEN, files=files)).status_code == 200
    assert opted_out(database) == [(WHO, "*", "*")]


async def test_the_pages_own_button_acts_and_says_so(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.post(UNSUBSCRIBE + TOKEN, content="stop=1", headers=FORM)
    assert answer.status_code == 200
    assert "Das gilt ab sofort" in answer.text
    assert f'href="../p/{TOKEN}"' in answer.text
    assert opted_out(database) == [(WHO, "*", "*")]


@pytest.mark.parametrize("body", ["", "stop=", "stop=0", "List-Unsubscribe=", "x=One-Click", "a" * 5_000])
async def test_any_other_post_does_nothing(client: httpx.AsyncClient, database: Database, body: str) -> None:
    assert (await client.post(UNSUBSCRIBE + TOKEN, content=body, headers=FORM)).status_code == 200
    assert opted_out(database) == []


async def test_where_an_opt_out_is_of_its_channel_the_page_says_so(database: Database, tmp_path: Path) -> None:
    put_sends(database, [(SEND, "resend", "p")])
    async with app_of(database, tmp_path, opt_out="channel") as client:
        assert "no more messages from us by e-mail" in (await client.get(UNSUBSCRIBE + TOKEN)).text
        await client.post(UNSUBSCRIBE + TOKEN, content=ONE_CLICK, headers=FORM)
    assert opted_out(database) == [(WHO, "email", "*")]


@pytest.mark.parametrize("path", [UNSUBSCRIBE, PREFERENCES])
@pytest.mark.parametrize(
    ("token", "status", "words"),
    [(OLD, 410, "dieser ist älter"), (FOREIGN, 404, "cut off"), (TOKEN[:-9], 404, "cut off"), ("x", 404, "cut off")],
    ids=["old", "foreign", "cut", "nonsense"],
)
async def test_a_link_that_is_no_good_leads_to_a_person(
    client: httpx.AsyncClient, database: Database, path: str, token: str, status: int, words: str
) -> None:
    for answer in (
        await client.get(path + token),
        await client.post(path + token, content=f"{ONE_CLICK}", headers=FORM),
        await client.post(path + token, content="nothing=1&stop=1&save=1", headers=FORM),
    ):
        assert (answer.status_code, words in answer.text, "+49 30 123456" in answer.text) == (status, True, True)
        assert "example.org" not in answer.text
    assert opted_out(database) == []


async def test_a_link_that_is_no_good_speaks_the_browsers_language(client: httpx.AsyncClient) -> None:
    answer = await client.get(UNSUBSCRIBE + FOREIGN, headers={"accept-language": "fr, de-AT;q=0.8, en;q=0.5"})
    assert '<html lang="de">' in answer.text


async def test_a_link_of_nothing_we_sent_opens_nothing(client: httpx.AsyncClient) -> None:
    token = LINKS.unsubscribe("ab" * 16, NOON).rpartition("/")[2]
    assert (await client.get(PREFERENCES + token)).status_code == 404


async def test_whoever_was_forgotten_finds_nothing_of_themselves(client: httpx.AsyncClient, database: Database) -> None:
    Erasure(database).forget(WHO, "f-1", by="ana", at=NOON)
    for answer in (await client.get(PREFERENCES + TOKEN), await save(client)):
        assert (answer.status_code, "Wir bewahren nichts mehr auf" in answer.text) == (410, True)


async def test_the_page_shows_what_is_so_in_the_customers_language(client: httpx.AsyncClient) -> None:
    page = (await client.get(PREFERENCES + TOKEN)).text
    assert '<html lang="de">' in page
    assert "Wie dürfen wir Sie erreichen?" in page
    assert checked(page, "channel") == {"sms", "email", "push"}
    assert checked(page, "purpose") == {"service", "transactional"}
    assert "a•••@example.org" in page
    assert "•••••• 23" in page
    for secret in ("ann.miller", "5550123", "token-0123", "Ann", WHO):
        assert secret not in page


async def test_what_is_saved_is_shown_again_and_kept(client: httpx.AsyncClient, database: Database) -> None:
    answer = await save(
        client,
        channel=["email"],
        purpose=["service", "marketing"],
        preferred="email",
        quiet_from="21:30",
        quiet_to="07:00",
        locale="en",
    )
    assert answer.status_code == 200
    assert "Saved." in answer.text
    assert '<html lang="en">' in answer.text
    assert checked(answer.text, "channel") == {"email"}
    assert checked(answer.text, "purpose") == {"service", "marketing"}
    assert 'value="21:30"' in answer.text
    again = (await client.get(PREFERENCES + TOKEN)).text
    assert again == answer.text.replace(
        '<p class="note good" role="status">Saved. This is what we will keep to.</p>\n', ""
    )
    now = customer(database)
    assert now.preference == Preference(channel="email", locale="en", quiet=(1_290, 420))
    allowed = {(c, p) for c in ADDRESSES for p in PURPOSES if may_contact(now.consents, c, p)}
    assert allowed == {("email", "service"), ("email", "marketing")}


async def test_nothing_at_all_and_the_way_back(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.post(PREFERENCES + TOKEN, content="nothing=1", headers=FORM)
    assert "Zurzeit bekommen Sie keine Nachrichten" in answer.text
    assert checked(answer.text, "channel") == set()
    assert opted_out(database) == [(WHO, "*", "*")]
    await save(client, shown_channel=[], shown_purpose=[], channel=["email"], purpose=["service"])
    now = customer(database)
    assert {(c, p) for c in ADDRESSES for p in PURPOSES if may_contact(now.consents, c, p)} == {("email", "service")}


async def test_what_was_stopped_meanwhile_stays_stopped(client: httpx.AsyncClient, database: Database) -> None:
    """A page that was open all the while says nothing about what its reader did not change."""
    await client.post(UNSUBSCRIBE + TOKEN, content=ONE_CLICK, headers=FORM)
    await save(client, preferred="sms")
    assert not any(may_contact(customer(database).consents, c, p) for c in ADDRESSES for p in PURPOSES)


@pytest.mark.parametrize(
    "hours",
    [("21:00", ""), ("", "07:00"), ("21:00", "21:00"), ("25:00", "07:00"), ("x", "y"), ("21:00", "<script>")],
)
async def test_hours_that_make_no_sense_are_told_and_nothing_is_saved(
    client: httpx.AsyncClient, database: Database, hours: tuple[str, str]
) -> None:
    answer = await save(client, channel=["email"], quiet_from=hours[0], quiet_to=hours[1])
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert checked(answer.text, "channel") == {"email"}, "what was typed is still there"
    assert checked(answer.text, "shown_channel", of="hidden") == set(ADDRESSES)
    assert (customer(database).preference, opted_out(database)) == (Preference(), [])


@pytest.mark.parametrize("path", [UNSUBSCRIBE, PREFERENCES])
async def test_a_page_is_in_its_readers_language_also_where_the_message_was_not(
    client: httpx.AsyncClient, database: Database, path: str
) -> None:
    with database.write() as session:
        session.execute(update(RecipientRow).values(locale="en"))
    assert '<html lang="de">' in (await client.get(path + TOKEN)).text


async def test_a_language_that_was_only_shown_is_not_chosen(client: httpx.AsyncClient, database: Database) -> None:
    """Who is imported as French, of which there are no pages, and saves their hours still gets French messages."""
    french = CustomerRecord(id=WHO, first_name="Ann", locale="fr", addresses=ADDRESSES)
    Customers(database).save([french], now=NOON, source="test")
    page = (await client.get(PREFERENCES + TOKEN)).text
    shown = "".join(checked(page, "shown_locale", of="hidden"))
    assert shown == "de", "the language of the message"
    assert "Gespeichert" in (await save(client, shown_locale=shown, locale="de")).text
    assert customer(database).preference.locale is None
    await save(client, shown_locale=shown, locale="en")
    assert customer(database).preference.locale == "en"


async def test_a_language_stays_chosen_where_something_else_was_wrong(client: httpx.AsyncClient) -> None:
    answer = await save(client, shown_locale="de", locale="en", quiet_from="21:00")
    assert answer.status_code == 422
    assert '<option value="en" lang="en" selected>' in answer.text
    assert checked(answer.text, "shown_locale", of="hidden") == {"de"}


async def test_whatever_is_posted_is_only_what_the_page_offers(client: httpx.AsyncClient, database: Database) -> None:
    forged = {
        "channel": ["sms", "voice", "*"],
        "purpose": ["service", "*", "spam"],
        "preferred": "voice",
        "locale": "xx",
    }
    assert (await save(client, **forged)).status_code == 200
    assert customer(database).preference == Preference()
    assert not [said for said in customer(database).consents if said.allowed], "nothing was opened"
    assert {c for _, c, _ in opted_out(database)} <= {"email", "push"} | {"*"}
    assert (WHO, "*", "*") not in opted_out(database)


async def test_the_pages_keep_to_themselves(client: httpx.AsyncClient) -> None:
    for path in (UNSUBSCRIBE + TOKEN, PREFERENCES + TOKEN, UNSUBSCRIBE + FOREIGN):
        answer = await client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in answer.text
        assert "http" not in re.sub(r"http-equiv", "", answer.text)
        assert answer.headers.get("set-cookie") is None


async def test_a_body_without_end_is_cut_off(client: httpx.AsyncClient) -> None:
    assert (await client.post(UNSUBSCRIBE + TOKEN, content="a" * 100_000, headers=FORM)).status_code == 413


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("sms", "+14155550123", "•••••• 23"),
        ("email", "a@example.org", "a•••@example.org"),
        ("push", "token", ""),
        ("in_app", "user-7", ""),
    ],
)
def test_addresses_are_masked(channel: str, address: str, shown: str) -> None:
    assert masked(channel, address) == shown


def test_every_language_says_everything() -> None:
    texts = {locale: text.model_dump() for locale, text in Pages(human="").texts.items()}
    assert set(texts) == {"en", "de"}
    shape = {
        locale: {name: sorted(section) for name, section in t.items() if name != "name"} for locale, t in texts.items()
    }
    assert shape["de"] == shape["en"]
    used = set(re.findall(r"text\.(\w+\.\w+)", "".join(p.read_text() for p in FOLDER.glob("*.html"))))
    assert {f"{s}.{k}" for s, keys in shape["en"].items() for k in keys} >= used


def checked(page: str, name: str, *, of: str = "checkbox") -> set[str]:
    """Returns the values of the boxes that are ticked, or of the hidden fields, of one name."""
    boxes = re.findall(rf'<input type="{of}" name="{name}" value="([^"]*)"([^>]*)>', page)
    return {value for value, rest in boxes if of == "hidden" or "checked" in rest}
