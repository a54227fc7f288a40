"""The page behind a survey's link: looking never answers, a POST does, and only who was told is asked how that was."""

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
from sqlmodel import select, update

from tellfirst.domain.survey import SurveyKind
from tellfirst.settings import Settings
from tellfirst.signing.links import SURVEY, Links
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.erasure import Erasure
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_surveys import SurveyAnswerRow, SurveyRow
from tellfirst.web.app import create_app
from tests.web.rows import OUTREACH, put_sends
from tests.web.signing import KEY, NOON, PUBLIC, given

SEND, TOLD, OTHER = "5e" * 16, "7d" * 16, "6f" * 16
LIFETIME = timedelta(days=60)
LINKS = Links(KEY.encode(), base_url=PUBLIC, lifetime=LIFETIME)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def token(send: str = SEND, *, links: Links = LINKS, until: Any = NOON) -> str:
    return links.survey(send, until).rpartition("/")[2]


def ask(database: Database, send: str, *, kind: SurveyKind = "ces") -> None:
    """Makes a send of the effect log the question of a survey."""
    with database.write() as session:
        row = session.get_one(SendRow, send)
        row.step = f"survey/{kind}"
        session.add(row)
        session.add(
            SurveyRow(
                outreach_id=OUTREACH, recipient_id=row.recipient_id, customer_id=row.customer_id, kind=kind, revision=1,
                page=0, channel="email", locale="en", send_id=send, drawn_at=NOON, not_after=NOON,
            )
        )  # fmt: skip


def answers(database: Database) -> list[tuple[int | None, str, str]]:
    with database.read() as session:
        rows = session.exec(select(SurveyAnswerRow).order_by(SurveyAnswerRow.id)).all()  # type: ignore[arg-type]
        return [(row.score, row.felt, row.by) for row in rows]


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Is on SQLite alone: what differs between the databases is tried where the store is."""
    shutil.copy(migrated_sqlite, tmp_path / "tellfirst.db")
    opened = Database(open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}"))
    yield opened
    opened.close()


@pytest_asyncio.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    put_sends(database, [(SEND, "resend", "p"), (TOLD, "resend", "q"), (OTHER, "resend", "r")])
    record = CustomerRecord(id=f"c-{SEND}", locale="de", addresses={"email": "ann.miller@example.org"})
    Customers(database).save([record], now=NOON, source="test")
    ask(database, SEND)
    with database.write() as session:
        session.execute(update(RecipientRow).values(arm="treated", page=0, channel="email"))
    ticks = count()
    app = create_app(
        Settings.load(_env_file=None, data_dir=tmp_path, **given()),
        database,
        clock=lambda: NOON + timedelta(seconds=next(ticks)),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside/") as made:
        yield made


async def post(client: httpx.AsyncClient, given: str | None = None, **fields: str) -> httpx.Response:
    return await client.post(SURVEY + (given or token()), content=urlencode({"answer": "1", **fields}), headers=FORM)


async def test_looking_answers_nothing_and_a_post_does(client: httpx.AsyncClient, database: Database) -> None:
    for method in ("GET", "HEAD"):
        shown = await client.request(method, SURVEY + token(), params={"score": "1"})
        assert shown.status_code == 200
    page = (await client.get(SURVEY + token())).text
    assert 'lang="de"' in page
    assert "Wie leicht haben Sie von uns bekommen" in page
    assert "5: sehr leicht" in page
    assert "Aufdringlich" not in page, "who was not told cannot say how that was"
    assert "miller" not in page.lower()
    assert answers(database) == []
    done = await post(client, score="4")
    assert (done.status_code, "Danke" in done.text) == (200, True)
    assert 'value="4" checked' in done.text
    assert answers(database) == [(4, "", "link")]


async def test_an_answer_can_be_changed_and_both_are_kept(client: httpx.AsyncClient, database: Database) -> None:
    await post(client, score="2")
    await post(client, score="5")
    assert answers(database) == [(2, "", "link"), (5, "", "link")]
    assert 'value="5" checked' in (await client.get(SURVEY + token())).text


async def test_who_was_told_says_whether_that_was_welcome(client: httpx.AsyncClient, database: Database) -> None:
    with database.write() as session:
        sent = session.get_one(SendRow, TOLD)
        sent.recipient_id = session.get_one(SendRow, SEND).recipient_id
        session.add(sent)
    assert "Aufdringlich" in (await client.get(SURVEY + token())).text
    await post(client, felt="intrusive")
    await post(client, score="3")
    assert answers(database) == [(None, "intrusive", "link"), (3, "", "link")]


@pytest.mark.parametrize(
    "fields",
    [{}, {"score": "0"}, {"score": "6"}, {"score": "five"}, {"felt": "welcome"}, {"answer": "0", "score": "3"}],
)
async def test_what_is_no_answer_is_not_kept(
    client: httpx.AsyncClient, database: Database, fields: dict[str, str]
) -> None:
    refused = await post(client, **fields)
    assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    assert answers(database) == []


@pytest.mark.parametrize(
    ("link", "status"),
    [
        (token(links=Links(b"o" * 32, base_url=PUBLIC, lifetime=LIFETIME)), 404),
        (token()[:-3], 404),
        (token(until=NOON - LIFETIME), 410),
        (token(OTHER), 410),
        ("", 404),
    ],
    ids=["forged", "cut off", "expired", "of no survey", "empty"],
)
async def test_a_link_that_is_no_good_answers_nothing(
    client: httpx.AsyncClient, database: Database, link: str, status: int
) -> None:
    assert (await client.get(SURVEY + link)).status_code == status
    assert (await client.post(SURVEY + link, content="answer=1&score=5", headers=FORM)).status_code == status
    assert answers(database) == []


async def test_who_was_forgotten_is_asked_no_more(client: httpx.AsyncClient, database: Database) -> None:
    await post(client, score="1")
    Erasure(database).forget(f"c-{SEND}", "forgotten-1", by="ana", at=NOON)
    assert (await post(client, score="5")).status_code == 410
    with database.read() as session:
        assert session.exec(select(SurveyRow.customer_id)).all() == ["forgotten-1"]
        assert session.exec(select(SurveyAnswerRow.customer_id)).all() == ["forgotten-1"]
