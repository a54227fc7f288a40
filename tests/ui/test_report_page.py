"""The report as a file, opened in a browser as somebody would who got it by mail: no server, no script, any screen."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, async_playwright

from tellfirst.domain.figures import OutreachFigures
from tellfirst.measurement.report import report
from tellfirst.web.report.page import page
from tests.measurement.recorded import REFERENCE, figures, outcome
from tests.ui.test_stuck_view import CHROMIUM, FLAGS

LATER = tuple(
    outcome("late_invoice", (900 + 10 * day, 60 + day), (100 + day, 12), key=f"2026-03-{day:02}") for day in range(1, 8)
)
OPEN = OutreachFigures(
    outreach="outreach/late_invoice/2026-03-09/1",
    trigger="late_invoice",
    reason_code="late_invoice",
    figures=figures((3_000, 180), (330, 40)),
)
EVERYTHING = (
    *REFERENCE,
    *LATER,
    outcome("late_invoice", (20, 2), (3, 1), key="small"),
    outcome("outage", (900, 90), (100, 20), share=0.5),
    outcome("recall", (900, 90), (0, 0), share=0.0),
    outcome("<script>alert(1)</script>", (900, 50), (100, 9)),
)


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
async def test_the_page_is_read_on_any_screen(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    file = tmp_path / "report.html"
    file.write_text(page(report(EVERYTHING, [OPEN]), at=datetime(2026, 3, 10, tzinfo=UTC), scope="All outcomes."))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for width in (1280, 390):
                for scheme in ("light", "dark"):
                    await _looked_at(browser, file, width, scheme, pictures / f"report-{width}-{scheme}.png")
        finally:
            await browser.close()


async def _looked_at(browser: Browser, file: Path, width: int, scheme: Literal["light", "dark"], picture: Path) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    opened = await context.new_page()
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    await opened.goto(file.as_uri())
    await opened.screenshot(path=picture, full_page=True)
    assert (asked, said) == ([file.as_uri()], []), "nothing is loaded and nothing complains"
    wide = await opened.locator("main").evaluate("() => document.documentElement.scrollWidth")
    assert wide <= width, "nothing is cut off"
    spilled = await opened.locator("section > table").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().right > one.closest('section')"
        ".getBoundingClientRect().right - 15)"
    )
    assert spilled == [], "no table is wider than its section"
    assert await opened.get_by_role("img", name="Forest plot of the reasons").is_visible()
    # What the picture shows a screen reader reads in the table: a cell of its own, with its header.
    line = opened.get_by_role("row").filter(has=opened.get_by_role("rowheader", name="where_is_my_order", exact=True))
    assert await line.get_by_role("cell").all_inner_texts() != []
    told = " ".join(await line.get_by_role("cell").all_inner_texts())
    assert "1,314 of 18,041 (7.3%)" in told
    assert "\u22126.3 to \u22123.3" in told
    await context.close()
