"""The README's saved query, opened in the Temporal UI as an ops person would."""

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import async_playwright

from tellfirst import contract
from tellfirst.client import OutreachClient
from tests.faults.installation import Installation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
async def test_the_saved_query_lists_exactly_the_overdue_outreach_and_its_page_says_what_to_do(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    soon = {'remind_after = "PT2H"': 'remind_after = "PT1S"', 'escalate_after = "PT4H"': 'escalate_after = "PT2S"'}
    async with Installation(tmp_path, replace=soon) as place:
        place.people(2)
        place.worker()
        overdue = await place.start(1, key="late-1")
        decided = await place.start(2, key="late-2")
        await place.approve(decided)
        client = OutreachClient(place.client)
        for _ in range(200):
            if (await client.view(overdue.id)).stage == contract.Stage.APPROVAL_OVERDUE:
                break
        else:
            raise AssertionError("it never became overdue")
        base = f"http://127.0.0.1:{place.ui_port}/namespaces/default/workflows"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1500, "height": 900})
            await page.goto(f"{base}?query={quote(contract.STUCK)}")
            row = page.get_by_role("link", name=overdue.id)
            await row.first.wait_for(timeout=30_000)
            listed = set(await page.locator("a[href*='/workflows/outreach']").all_inner_texts())
            await page.screenshot(path=pictures / "stuck.png")
            assert {text.strip() for text in listed} >= {overdue.id}
            assert not [text for text in listed if decided.id in text]
            assert await page.locator("table tbody tr").count() == 1
            await browser.close()
        view = await client.view(overdue.id)
        assert "Service lead" in view.details
        assert "since" in view.details
        assert "tellfirst approve" in view.details
