"""The README's saved query, opened in the Temporal UI as an ops person would."""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright, expect

from tellfirst import contract
from tellfirst.client import OutreachClient
from tellfirst.contract import Stage
from tests.faults.installation import ROOT, Installation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SOON = {'remind_after = "PT2H"': 'remind_after = "PT1S"', 'escalate_after = "PT4H"': 'escalate_after = "PT2S"'}
PATIENCE = 60_000


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
async def test_the_saved_query_lists_exactly_what_is_stuck_and_its_page_says_what_to_do(tmp_path: Path) -> None:
    pictures = Path(os.environ.get("TELLFIRST_PICTURES", tmp_path))
    async with Installation(tmp_path, replace=SOON) as place:
        place.people(6)
        place.worker()
        overdue = (await place.start(1, key="late-1")).id
        decided = await place.start(2, key="late-2")
        await place.approve(decided)
        taken = (await place.start(3, key="late-3")).id
        client = OutreachClient(place.client)
        stages = {overdue: Stage.APPROVAL_OVERDUE, taken: Stage.ESCALATED}

        async def stands(outreach: str, stage: Stage) -> bool:
            return (await client.view(outreach)).stage == stage

        async def all_are_known() -> bool:
            return await listed(place, "WorkflowType='Outreach'") == {*stages, decided.id}

        async def they_alone_are_stuck() -> bool:
            return await listed(place, contract.STUCK) == set(stages)

        for outreach in stages:
            await until(lambda outreach=outreach: stands(outreach, Stage.APPROVAL_OVERDUE))
        await client.acknowledge(taken, by="eve")
        await until(lambda: stands(taken, Stage.ESCALATED))
        await until(all_are_known)
        await until(they_alone_are_stuck)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                page = await browser.new_page(viewport={"width": 1500, "height": 900})
                words = await look(page, saved_query(place.ui_port), overdue, pictures)
                await expect(words).to_contain_text("Approval is overdue: waiting for Service lead since")
                await expect(words).to_contain_text(re.compile(r"since \d{2} \w{3} \d{4}, \d{2}:\d{2} UTC"))
                await expect(words).to_contain_text("Level 1 of 3: Service lead was told. Delivery experience is told")
                for command in ("tellfirst approve", "tellfirst reject", "tellfirst ack"):
                    await expect(words.get_by_text(command, exact=True)).to_be_visible()
                await page.screenshot(path=pictures / "overdue.png")
                words = await look(page, saved_query(place.ui_port), taken, pictures)
                await expect(words).to_contain_text("Acknowledged by eve,")
                await page.screenshot(path=pictures / "escalated.png")
            finally:
                await browser.close()


async def look(page: Page, saved: str, outreach: str, pictures: Path) -> Locator:
    """Opens the saved query, goes from its two rows to the page of an outreach, and returns the words there."""
    await page.goto(saved)
    row = page.get_by_role("link", name=outreach, exact=True)
    await expect(row).to_be_visible(timeout=PATIENCE)
    await expect(page.locator("table tbody tr")).to_have_count(2)
    await page.screenshot(path=pictures / "stuck.png")
    await row.click()
    await page.get_by_role("tab", name="User Metadata").click(timeout=PATIENCE)
    # The UI renders such words in a frame of its own, so that they cannot act on the page around them.
    words = page.frame_locator("iframe").locator("body")
    await expect(words).to_contain_text("Approval is overdue", timeout=PATIENCE)
    return words


def saved_query(port: int) -> str:
    """Returns the link of the README, for the UI at this port."""
    shown = re.search(r"\]\(http://127\.0\.0\.1:8233(/\S+\?query=\S+)\)", (ROOT / "README.md").read_text())
    assert shown
    return f"http://127.0.0.1:{port}{shown[1]}"


async def listed(place: Installation, query: str) -> set[str]:
    """Returns the ids that Temporal lists for a query; it hears of changes a moment later."""
    return {found.id async for found in place.client.list_workflows(query)}


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits until something holds; fails when it does not in time."""
    async with asyncio.timeout(PATIENCE / 1000):
        while not await holds():
            await asyncio.sleep(0.1)
