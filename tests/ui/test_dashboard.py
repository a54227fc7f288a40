"""The dashboard in a browser, as on a telephone and on a desk, light and dark: seen, read by axe, gone through by Tab.

`TELLFIRST_DASHBOARD` names the address of a running one to look at instead, such as that of `scripts/demo --stay`.
"""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from tellfirst.settings import Settings
from tellfirst.store.engine import Database, open_engine
from tellfirst.web.app import create_app
from tests.store.conftest import migrated_sqlite
from tests.ui.test_stuck_view import CHROMIUM, FLAGS
from tests.web.mornings import NOON, put_morning

__all__ = ["migrated_sqlite"]

AXE = os.environ.get("AXE", "")
TOKEN = "a-token-of-at-least-twenty-four"
WAYS: list[tuple[int, int, Literal["light", "dark"]]] = [
    (390, 844, "light"),
    (390, 844, "dark"),
    (1280, 900, "light"),
    (1280, 900, "dark"),
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")


async def test_it_is_seen_whole_without_a_script(dashboard: str, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    refused: list[str] = []
    async with chromium() as browser:
        for width, height, scheme in WAYS:
            context = await browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=False
            )
            page = await context.new_page()
            page.on("console", lambda message: refused.append(message.text))
            for name, address in (await addresses(page, dashboard)).items():
                answer = await page.goto(address)
                assert answer is not None
                assert answer.ok
                assert await page.locator("main h1").count() == 1
                await page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
            await context.close()
    assert refused == [], "its own policy lets in all that it needs"


@pytest.mark.skipif(not AXE, reason="axe is not here: AXE=…/axe.min.js names it (npm's axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(dashboard: str, figure: Any, scheme: Any) -> None:
    script = Path(AXE).read_text()
    async with chromium() as browser:
        for width in (390, 1280):
            # The page's own policy lets no script in, axe's neither; that policy is tried elsewhere.
            context = await browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
            )
            page = await context.new_page()
            for name, address in (await addresses(page, dashboard)).items():
                await page.goto(address)
                await page.evaluate(script)
                found = await page.evaluate(
                    "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations', 'passes', 'incomplete']})",
                    RULES,
                )
                wrong = [
                    (one["id"], [node["html"] for node in one["nodes"]])
                    for one in (*found["violations"], *found["incomplete"])
                ]
                assert wrong == [], f"{name} at {width}: {json.dumps(wrong, indent=1)[:3_000]}"
                passed = {one["id"]: len(one["nodes"]) for one in found["passes"]}
                assert {"color-contrast", "target-size", "heading-order", "landmark-one-main"} <= set(passed)
                figure(
                    f"axe on {name} at {width} px, {scheme}: 0 wrong, {len(passed)} rules hold,"
                    f" {passed['color-contrast']} texts have the contrast"
                )


@pytest.mark.parametrize("width", [390, 1280])
async def test_tab_goes_through_it_as_it_is_read(dashboard: str, figure: Any, width: int) -> None:
    async with chromium() as browser:
        page = await (await browser.new_context(viewport={"width": width, "height": 900})).new_page()
        for name, address in (await addresses(page, dashboard)).items():
            await page.goto(address)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off"
            wanted = await page.evaluate(STOPS)
            reached = []
            for _ in wanted:
                await page.keyboard.press("Tab")
                reached.append(await page.evaluate(STOP))
            assert [one["name"] for one in reached] == [one["name"] for one in wanted]
            assert [one for one in reached if not one["outline"]] == [], "whoever comes by keyboard sees where they are"
            # The skip link stands apart until it is reached; the others follow each other down the page.
            places = [one["top"] for one in reached[1:]]
            assert [(a, b) for a, b in pairwise(places) if b < a - 40] == []
            small = [one for one in reached[1:] if min(one["height"], one["width"]) < 24]
            assert small == [], "a finger hits 24 pixels"
            figure(f"Tab through {name} at {width} px: {len(reached)} stops in reading order")
        await page.goto(dashboard)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "content"


async def test_a_stranger_signs_in_by_keyboard(morning: Path, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    with serving(morning, dashboard_token=TOKEN) as base:
        async with chromium() as browser:
            context = await browser.new_context(
                viewport={"width": 390, "height": 844}, java_script_enabled=False, color_scheme="dark"
            )
            page = await context.new_page()
            await page.goto(f"{base}/dashboard")
            await page.get_by_label("Token of the dashboard").fill("wrong")
            await page.keyboard.press("Enter")
            await page.get_by_role("alert").wait_for()
            await page.screenshot(path=pictures / "sign-in-390-dark.png", full_page=True)
            await page.get_by_label("Token of the dashboard").fill(TOKEN)
            await page.keyboard.press("Enter")
            await page.get_by_role("heading", name="Today").wait_for()
            [cookie] = await context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


STOP_OF = """e => { const box = e.getBoundingClientRect(); const style = getComputedStyle(e);
  return {name: e.textContent.trim() || e.name, top: box.top + scrollY, height: box.height, width: box.width,
    outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2}; }"""
STOP = f"({STOP_OF})(document.activeElement)"
REACHED = "a[href], button, input:not([type=hidden]), summary"
STOPS = f"[...document.querySelectorAll('{REACHED}')].filter(e => e.checkVisibility()).map({STOP_OF})"


async def addresses(page: Page, dashboard: str) -> dict[str, str]:
    """Returns the pages to look at by name: the front page, and the first outreach by name that it leads to."""
    await page.goto(dashboard)
    links = await page.locator('main a[href^="/dashboard/outreach"]').all()
    paths = sorted({str(await link.get_attribute("href")) for link in links})[:1]
    base = dashboard.partition("/dashboard")[0]
    return {"front": dashboard, **{f"outreach-{place}": base + path for place, path in enumerate(paths, start=1)}}


@contextmanager
def serving(file: Path, **settings: Any) -> Iterator[str]:
    """Serves a database on a free port, as of the morning that is in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = Database(open_engine(f"sqlite:///{file}"))
    ui = "http://127.0.0.1:8233/namespaces/default/workflows"
    given = Settings.load(_env_file=None, data_dir=file.parent, secret="k" * 32, temporal_ui=ui, **settings)
    app = create_app(given, database, clock=lambda: NOON)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        database.close()


@pytest.fixture(scope="module")
def morning(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Is a database with a morning in it."""
    file = Path(shutil.copy(migrated_sqlite, tmp_path_factory.mktemp("morning") / "tellfirst.db"))
    made = Database(open_engine(f"sqlite:///{file}"))
    put_morning(made)
    made.close()
    return file


@pytest.fixture(scope="module")
def dashboard(morning: Path) -> Iterator[str]:
    """Is the address of a dashboard."""
    if running := os.environ.get("TELLFIRST_DASHBOARD"):
        yield running
        return
    with serving(morning) as base:
        yield f"{base}/dashboard"


class chromium:  # noqa: N801 - a context
    """Runs Chromium for a while."""

    async def __aenter__(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        return self._browser

    async def __aexit__(self, *_: object) -> None:
        await self._browser.close()
        await self._playwright.stop()
