"""The dashboard: who may look, that looking changes nothing, and that nothing on it is anybody's."""

import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select, update

from tellfirst.settings import Settings
from tellfirst.store.dashboard import Dashboard
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.tables import OutreachRow
from tellfirst.web.app import create_app
from tellfirst.web.dashboard.access import COOKIE, SESSION
from tests.web.mornings import CANARIES, DOWN, LATE, NOON, OLD, PAID, put_morning

TOKEN = "a-token-of-at-least-twenty-four"
HERE, ELSEWHERE = "127.0.0.1", "203.0.113.7"
PAGES = ("/dashboard", *(f"/dashboard/{outreach}" for outreach in (LATE, DOWN, PAID, OLD)))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "tellfirst.db")
    opened = Database(open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def put(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Is the file of a database with a morning in it."""
    file = shutil.copy(migrated_sqlite, tmp_path_factory.mktemp("morning") / "tellfirst.db")
    made = Database(open_engine(f"sqlite:///{file}"))
    put_morning(made)
    made.close()
    return Path(file)


@pytest.fixture
def morning(put: Path, tmp_path: Path) -> Iterator[Database]:
    opened = Database(open_engine(f"sqlite:///{shutil.copy(put, tmp_path / 'tellfirst.db')}"))
    yield opened
    opened.close()


def looking(
    database: Database, *, peer: str = HERE, host: str = "127.0.0.1:8090", clock: Any = None, **settings: Any
) -> httpx.AsyncClient:
    given = {"secret": "k" * 32, **settings}
    app = create_app(Settings.load(_env_file=None, data_dir=Path(), **given), database, clock=clock or Clock())
    transport = httpx.ASGITransport(app, client=(peer, 4_711))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


# -- who may look


@pytest.mark.parametrize("path", PAGES)
async def test_on_this_machine_it_is_open(morning: Database, path: str) -> None:
    async with looking(morning) as browser:
        answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'; style-src 'sha256-" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"])
async def test_each_name_of_this_machine_is_it(database: Database, peer: str) -> None:
    for host in ("localhost:8090", "127.0.0.1", "[::1]:8090"):
        async with looking(database, peer=peer, host=host) as browser:
            assert (await browser.get("/dashboard")).status_code == 200


@pytest.mark.parametrize("peer", [ELSEWHERE, "10.0.0.2", "::ffff:203.0.113.7", "testclient", ""])
async def test_from_elsewhere_without_a_token_nothing_is_there(morning: Database, peer: str) -> None:
    async with looking(morning, peer=peer) as browser:
        for path in (*PAGES, "/dashboard/sign-in", "/dashboard/anything"):
            for method in ("GET", "HEAD", "POST"):
                answer = await browser.request(method, path)
                assert (answer.status_code, answer.content) in ((404, b""), (405, b'{"detail":"Method Not Allowed"}'))


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"]
)
@pytest.mark.parametrize("value", [ELSEWHERE, HERE])
async def test_who_comes_through_a_proxy_is_not_on_this_machine(database: Database, header: str, value: str) -> None:
    async with looking(database) as browser:
        assert (await browser.get("/dashboard", headers={header: value})).status_code == 404


async def test_behind_a_public_address_even_a_silent_proxy_needs_a_token(database: Database) -> None:
    async with looking(database, public_url="https://hooks.example.org") as browser:
        assert (await browser.get("/dashboard")).status_code == 404
    async with looking(database, public_url="http://127.0.0.1:8090") as browser:
        assert (await browser.get("/dashboard")).status_code == 200


async def test_another_name_for_this_machine_is_somebody_elses_page(database: Database) -> None:
    async with looking(database, host="rebound.example.org:8090") as browser:
        assert (await browser.get("/dashboard")).status_code == 404


@pytest.mark.parametrize("peer", [HERE, ELSEWHERE])
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}=99999999999.{'0' * 64}"},
        {"Cookie": f"{COOKIE}=²²²²."},
        {"X-Forwarded-For": HERE},
    ],
    ids=lambda header: next(iter(header.values()), "nothing"),
)
async def test_with_a_token_only_the_token_counts(morning: Database, peer: str, header: dict[str, str]) -> None:
    raw = {name.encode(): value.encode() for name, value in header.items()}
    async with looking(morning, peer=peer, dashboard_token=TOKEN) as browser:
        for path in PAGES:
            answer = await browser.get(path, headers=raw)
            assert answer.status_code == 401
            assert "late_delivery" not in answer.text.replace(path, "")
            assert ("www-authenticate" in answer.headers) == ("Authorization" in header)


async def test_the_token_lets_in_as_a_header(morning: Database) -> None:
    async with looking(morning, peer=ELSEWHERE, dashboard_token=TOKEN) as script:
        for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            assert (await script.get("/dashboard", headers={"Authorization": header})).status_code == 200


async def test_signing_in_leads_back_and_holds_for_a_while(morning: Database) -> None:
    clock, path = Clock(), f"/dashboard/{LATE}"
    async with looking(morning, peer=ELSEWHERE, dashboard_token=TOKEN, clock=clock) as browser:
        asked = await browser.get(path)
        assert f'name="to" value="{path}"' in asked.text
        wrong = await browser.post("/dashboard/sign-in", data={"token": "wrong", "to": path})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        assert "That is not the token" in wrong.text
        done = await browser.post("/dashboard/sign-in", data={"token": TOKEN, "to": path})
        assert (done.status_code, done.headers["location"]) == (303, path)
        cookie = done.headers["set-cookie"]
        assert re.search(r"HttpOnly; Max-Age=43200; Path=/dashboard; SameSite=strict", cookie)
        assert TOKEN not in cookie
        assert (await browser.get(path)).status_code == 200
        clock.now += SESSION
        assert (await browser.get(path)).status_code == 401
        held = browser.cookies
    async with looking(morning, peer=ELSEWHERE, dashboard_token=f"{TOKEN}-2") as other:
        other.cookies.update(held)
        assert (await other.get(path)).status_code == 401


async def test_over_https_the_cookie_stays_there(database: Database) -> None:
    async with looking(database, dashboard_token=TOKEN) as browser:
        done = await browser.post("/dashboard/sign-in", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in done.headers["set-cookie"]


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/elsewhere", "/dashboardx", "\r\nLocation: x", "/dashboard\\evil"]
)
async def test_signing_in_never_leads_elsewhere(database: Database, to: str) -> None:
    async with looking(database, dashboard_token=TOKEN) as browser:
        done = await browser.post("/dashboard/sign-in", data={"token": TOKEN, "to": to})
    assert (done.status_code, done.headers["location"]) == (303, "/dashboard")


def test_a_short_token_is_refused() -> None:
    with pytest.raises(Exception, match="TELLFIRST_DASHBOARD_TOKEN"):
        Settings.load(_env_file=None, dashboard_token="short")


# -- looking changes nothing


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", PAGES)
async def test_nothing_but_looking_is_taken(morning: Database, method: str, path: str) -> None:
    async with looking(morning) as browser:
        assert (await browser.request(method, path)).status_code == 405


async def test_looking_writes_nothing(morning: Database, tmp_path: Path) -> None:
    def content() -> list[str]:
        with morning.engine.connect() as connection:
            return list(connection.connection.iterdump())

    before = content()
    async with looking(morning) as browser:
        for path in PAGES:
            await browser.get(path)
    assert content() == before


# -- what stands there


class Told(HTMLParser):
    """Reads the text of a page by section, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.links: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._in = given["aria-labelledby"] or ""
        if tag == "a":
            self.links.append(given["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._in = "" if tag == "section" else self._in

    def handle_data(self, data: str) -> None:
        if self._in:
            said = self.sections.get(self._in, "")
            self.sections[self._in] = f"{said} {data.strip()}".strip()


async def read(database: Database, path: str = "/dashboard", **settings: Any) -> Told:
    async with looking(database, **settings) as browser:
        return Told((await browser.get(path)).text)


async def test_each_section_says_what_is_so(morning: Database) -> None:
    page = await read(morning)
    told = page.sections
    assert "payment failed open 1 affected 80" in told["warnings"]
    assert "72 today before: 29, 21, 0, 24, 56, 43" in told["warnings"], told["warnings"]
    assert re.search(
        r"escalation: a promise is at risk for whom Incident lead .* who is on it nobody yet", told["waiting"]
    )
    assert re.search(r"payment_failed/\S+ approval for whom Billing lead .* who is on it ben", told["waiting"])
    assert (
        "library/late_delivery/v2 playbook version to go live for whom Library approver, Privacy owner"
        in told["waiting"]
    )
    assert "exception for whom whoever's boundary covers it" in told["waiting"]
    assert re.search(
        r"inc-2041/1 step update-1 due 9 Mar 2026, 10:00 UTC in 30 min customers 8 at risk paused", told["promises"]
    )
    assert (
        "progress 39 of 60 told 28 held out 6 deferred 4 failed 5 set aside 0 pace 33 in the last minute 2 s left"
        in told["sending"]
    )
    assert "not known whether they arrived messages 3" in told["stuck"]
    assert "service_disruption/inc-2041/1 what paused" in told["stuck"]
    assert (
        "told 31 opted out 1 3.2 %, limit 5.0 % angry or asking why 3 9.7 %, limit 5.0 %, above it" in told["answers"]
    )
    assert re.search(
        r"where is my order grade A: randomised, closed difference −4.7 points 95 % interval −", told["outcomes"]
    )
    assert "ana decisions 3 3 approvals waited 1 h at most 16 d 23 h after hours 3" in told["load"]
    assert {f"/dashboard/{outreach}" for outreach in (LATE, DOWN, PAID)} <= set(page.links)


async def test_an_outreach_is_told_whole(morning: Database) -> None:
    told = await read(morning, f"/dashboard/{LATE}", temporal_ui="http://127.0.0.1:8233/namespaces/default/workflows/")
    said = "33 in the last minute; 3 wait; about 2 s left; 4 until they may be disturbed"
    async with looking(morning) as browser:
        assert f"<dt>sending</dt><dd>{said}</dd>" in (await browser.get(f"/dashboard/{LATE}")).text
    async with looking(morning, sms_rate=0.01) as browser:
        assert "at least 5 min left, by the rate that is set for sms" in (await browser.get(f"/dashboard/{LATE}")).text
    assert "Revision 1: to be told how many 60 of these sms 60" in told.sections["people"]
    assert "drawn so far how many 46 of these treated 40, control 6" in told.sections["people"]
    assert "approve revision 1 signed by ana" in told.sections["decisions"]
    assert (
        "nobody known received 9 Mar 2026, 08:30 UTC 1 h ago counts refused: unknown key" in told.sections["decisions"]
    )
    assert "Your order order_id was due on promised_at and is late, sorry." in told.sections["said"]
    assert "Approved by ana" in told.sections["timeline"]
    assert "Service lead was reminded" in told.sections["timeline"]
    assert "The first message of step initial left" in told.sections["timeline"]
    link = "http://127.0.0.1:8233/namespaces/default/workflows/outreach%2Flate_delivery%2F2026-03-09T07-00-00%2F1"
    assert link in told.links
    old = (await read(morning, f"/dashboard/{OLD}")).sections
    assert "A: randomised, closed difference −4.7 points, 95 % interval" in old["outcome"].replace(" −10", " −10")


async def test_it_is_read_anew_after_a_few_seconds_and_says_of_when_it_is(database: Database) -> None:
    clock = Clock()
    async with looking(database, clock=clock) as browser:
        for seconds, shown in ((0, 0), (4, 0), (5, 5), (9, 5), (10, 10)):
            clock.now = NOON + timedelta(seconds=seconds)
            page = (await browser.get("/dashboard")).text
            assert f'datetime="2026-03-09T09:30:{shown:02}+00:00"' in page


async def test_what_is_not_there_is_said(database: Database) -> None:
    told = (await read(database)).sections
    assert len(told) >= 7
    assert all(re.search(r"stand(s)? here|Nothing is stuck", words) for words in told.values())
    async with looking(database) as browser:
        assert (await browser.get("/dashboard/outreach/late_delivery/none/1")).status_code == 404


async def test_nobody_is_on_it(morning: Database) -> None:
    async with looking(morning) as browser:
        for path in PAGES:
            page = (await browser.get(path)).text
            assert [canary for canary in CANARIES if canary in page] == []
            assert "c-late_delivery" not in page


async def test_everything_on_it_is_text(morning: Database) -> None:
    evil = "<script>alert(1)</script>'\"{{ 7 | times: 7 }}"
    with morning.write() as session:
        session.execute(update(OutreachRow).values(blocked=evil))
        for row in session.exec(select(OutreachRow)).all():
            session.add(row)
        for table in ("escalations", "conditions", "decisions", "notices", "matters", "controls"):
            column = {
                "escalations": "waiting_on", "conditions": "trigger", "decisions": "approver", "notices": '"to"',
                "matters": "kind", "controls": "name",
            }[table]  # fmt: skip
            session.connection().exec_driver_sql(f"UPDATE {table} SET {column} = ?", (f"channel:{evil}",))
    async with looking(morning) as browser:
        for path in PAGES:
            page = (await browser.get(path)).text
            assert "<script" not in page
            assert "alert(1)" in page
            assert "49" not in re.findall(r"alert\(1\).{0,40}?(49)", page)


def test_each_list_is_read_as_of_an_instant(morning: Database) -> None:
    later = Dashboard(morning).front(now=NOON + timedelta(days=2))
    assert [one.outreach for one in later.snags if one.what == "deadline_passed"] == [PAID]
    assert [one.waiting for one in later.live] == [3], "who is not drawn in time is not told"
