"""The inbox page of docs/channels.md, as printed, in a customer's browser."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import async_playwright, expect

from tellfirst.channels.in_app import InAppInbox
from tellfirst.domain.message import Outbound, Rendered
from tellfirst.settings import Settings
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.inbox import Inbox
from tellfirst.store.migrations import migrate
from tellfirst.web.app import create_app
from tellfirst.web.inbox import inbox_token
from tests.faults.installation import ROOT
from tests.ui.test_stuck_view import CHROMIUM, FLAGS
from tests.web.test_inbox_stream import serving

PAGE = (ROOT / "docs/channels.md").read_text()
SECRET = "a secret of 24 characters"


def message(send: str, subject: str) -> Outbound:
    return Outbound(
        send_id=send,
        channel="in_app",
        address="c-17",
        customer="c-17",
        rendered=Rendered(subject=subject, body="<b>Sorry</b>: it comes on Friday."),
        locale="en",
        not_after=datetime.now(UTC) + timedelta(days=1),
    )


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
async def test_a_customer_sees_what_is_new_and_reads_it(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    engine = open_engine(f"sqlite:///{tmp_path / 'inbox.db'}")
    migrate(engine)
    database = Database(engine)
    Customers(database).save(
        [CustomerRecord(id="c-17", addresses={"in_app": "c-17"})], now=datetime.now(UTC), source="test"
    )
    adapter = InAppInbox(Inbox(database, timedelta(days=90)))
    await adapter.send([message("s-1", "Your parcel is late")], now=datetime.now(UTC))
    html = re.search(r"```html\n(.*?)```", PAGE, re.DOTALL)
    backend = re.search(r"```python\n(import hmac.*?)```", PAGE, re.DOTALL)
    assert html
    assert backend
    space: dict[str, object] = {}
    exec(compile(backend[1], "docs/channels.md", "exec"), space)
    token = space["inbox_token"](SECRET, "c-17")  # type: ignore[operator]
    assert token == inbox_token(SECRET.encode(), "c-17")
    shop, shown = FastAPI(), dict[str, str]()
    shop.get("/", response_class=HTMLResponse)(lambda: shown["page"])
    async with serving(shop) as origin, async_playwright() as playwright:
        settings = Settings.load(_env_file=None, inbox_secret=SECRET, inbox_origins=origin)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        async with serving(create_app(settings, database)) as url:
            shown["page"] = html[1].replace("https://tellfirst.example.com", url).replace("…", token)
            page = await browser.new_page(viewport={"width": 900, "height": 300})
            await page.goto(origin)
            lines, unseen = page.locator("#messages li"), page.locator("#unseen")
            await expect(lines).to_have_text(["Your parcel is late <b>Sorry</b>: it comes on Friday."])
            await expect(unseen).to_have_text("1")
            await adapter.send([message("s-2", "Your parcel is on its way")], now=datetime.now(UTC))
            await expect(lines).to_have_count(2)
            await page.screenshot(path=pictures / "inbox.png")
            await page.locator("#bell").click()
            await expect(unseen).to_have_text("0")
            await lines.first.click()
            await expect(lines.first).to_have_css("font-weight", "400")
            await expect(lines.last).to_have_css("font-weight", "700")
            await browser.close()
    (newest, _) = Inbox(database, timedelta(days=90)).items(
        "c-17", status="all", now=datetime.now(UTC), limit=9, before=None
    )
    assert newest.read_at is not None
    database.close()
