"""The pages behind a message's links, opened in a browser as a customer would: no script, no login, one click."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from tellfirst.policy.consent import may_contact
from tellfirst.settings import Settings
from tellfirst.signing.links import Links
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tellfirst.store.preferences import Preference
from tellfirst.web.app import create_app
from tests.ui.test_stuck_view import CHROMIUM, FLAGS
from tests.web.rows import opted_out, put_sends

SEND, OTHER = "5e" * 16, "6f" * 16
KEY = "k" * 32
ADDRESSES = {"sms": "+14155550123", "email": "ann.miller@example.org", "voice": "+14155550123", "push": "token"}


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
async def test_a_customer_stops_everything_and_then_chooses_again(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    with serving(tmp_path) as (base, database):
        customers, links = Customers(database), Links(KEY.encode(), base_url=base, lifetime=timedelta(days=60))
        far = datetime.now(UTC) + timedelta(days=1)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                # Without scripts, on the screen of a telephone.
                context = await browser.new_context(
                    viewport={"width": 390, "height": 844}, java_script_enabled=False, color_scheme="light"
                )
                page = await context.new_page()
                refused: list[str] = []
                page.on("console", lambda message: refused.append(message.text))
                await page.goto(links.unsubscribe(SEND, far))
                await page.screenshot(path=pictures / "unsubscribe.png", full_page=True)
                assert opted_out(database) == []
                await page.get_by_role("button", name="Stop messages").click()
                await expect(page.get_by_role("status")).to_contain_text("no more messages from us")
                await page.screenshot(path=pictures / "unsubscribed.png", full_page=True)
                assert opted_out(database) == [(f"c-{SEND}", "*", "*")]

                await page.get_by_role("link", name="Choose what you get").click()
                await expect(page.get_by_text("At present you get no messages from us")).to_be_visible()
                await page.get_by_role("checkbox", name="E-mail").check()
                await page.get_by_label("When something goes wrong").check()
                await page.get_by_label("From").fill("21:00")
                await page.get_by_label("Until").fill("08:00")
                await page.get_by_label("The way you like best").select_option(label="E-mail")
                await page.get_by_label("Language").select_option(label="Deutsch")
                await page.get_by_role("button", name="Save").click()
                await expect(page.get_by_role("status")).to_have_text("Gespeichert. Daran halten wir uns.")
                await expect(page.locator("html")).to_have_attribute("lang", "de")
                await expect(page.get_by_role("checkbox", name="E-Mail")).to_be_checked()
                await expect(page.get_by_role("checkbox", name="SMS")).not_to_be_checked()
                await page.screenshot(path=pictures / "preferences-de.png", full_page=True)
                said = customers.resolve([f"c-{SEND}"])[f"c-{SEND}"]
                assert said.preference == Preference(channel="email", locale="de", quiet=(21 * 60, 8 * 60))
                assert may_contact(said.consents, "email", "service")
                assert not may_contact(said.consents, "sms", "service")

                await page.get_by_label("Bis").fill("")
                await page.get_by_role("button", name="Speichern").click()
                await expect(page.get_by_role("alert")).to_contain_text("Das ließ sich noch nicht speichern")
                await page.screenshot(path=pictures / "preferences-wrong.png", full_page=True)
                await page.get_by_role("button", name="Alle Nachrichten abbestellen").click()
                await expect(page.get_by_text("Zurzeit bekommen Sie keine Nachrichten von uns")).to_be_visible()
                assert await wide(page) <= 390, "nothing is cut off on a telephone"

                await page.goto(f"{base}/u/nonsense")
                await expect(page.get_by_text("+49 30 123456")).to_be_visible()
                await page.screenshot(path=pictures / "gone.png", full_page=True)
                assert not [said for said in refused if "Content Security Policy" in said], "it allows what they need"

                dark = await browser.new_context(viewport={"width": 900, "height": 1100}, color_scheme="dark")
                page = await dark.new_page()
                await page.goto(links.preferences(OTHER, far))
                await expect(page.get_by_role("checkbox", name="Text message")).to_be_checked()
                await page.keyboard.press("Tab")
                await page.screenshot(path=pictures / "preferences-dark.png", full_page=True)
                light = await browser.new_context(viewport={"width": 900, "height": 1100}, color_scheme="light")
                page = await light.new_page()
                await page.goto(links.preferences(OTHER, far))
                await page.screenshot(path=pictures / "preferences.png", full_page=True)
                assert await poor_contrast(page) == []
            finally:
                await browser.close()


async def wide(page: Page) -> int:
    """Returns how wide the page wants to be."""
    box = await page.locator("body").bounding_box()
    assert box is not None
    return int(box["width"])


async def poor_contrast(page: Page) -> list[str]:
    """Returns the texts whose colour stands out from their ground by less than 4.5 to 1 (WCAG 2.2, AA)."""
    found: list[str] = await page.evaluate(CONTRAST)
    return found


CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll('main *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => { const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      return (a + .05) / (b + .05) < 4.5; }).map(e => e.textContent.trim());
}"""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Database]]:
    """Serves a fresh installation with two customers whom it wrote to, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = open_engine(f"sqlite:///{folder / 'tellfirst.db'}")
    migrate(engine)
    database, base = Database(engine), f"http://127.0.0.1:{port}"
    put_sends(database, [(SEND, "resend", "p"), (OTHER, "resend", "q")])
    people = [CustomerRecord(id=f"c-{send}", addresses=ADDRESSES) for send in (SEND, OTHER)]
    Customers(database).save(people, now=datetime.now(UTC), source="test")
    settings = Settings.load(_env_file=None, data_dir=folder, public_url=base, secret=KEY, human="+49 30 123456")
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, database), host="127.0.0.1", port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield base, database
    finally:
        server.should_exit = True
        thread.join(10)
        database.close()
