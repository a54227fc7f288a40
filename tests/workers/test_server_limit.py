"""Temporal itself can be told how many pages of a channel begin in a second, with the command of docs/channels.md."""

import asyncio
import time
from pathlib import Path

from tests.conftest import TEMPORAL
from tests.figures import Figure
from tests.workflows.test_sending import people, states
from tests.world import World

SHOWN = "temporal task-queue config set --task-queue send-sms --task-queue-type activity --queue-rps-limit 2"
PAGES = 6


async def limit(world: World, command: str) -> None:
    address = world.env.client.service_client.config.target_host
    done = await asyncio.create_subprocess_exec(
        TEMPORAL, *command.split()[1:], "--address", address, stdout=asyncio.subprocess.PIPE
    )
    await done.communicate()
    assert done.returncode == 0


async def campaign(world: World) -> float:
    """Returns how long the pages of a campaign take after the first."""
    handle = await world.start(world.late(*people(world, PAGES)))
    await world.approve(handle.id)
    await world.until(lambda: world.sms.sent)
    begun = time.monotonic()
    await world.until(lambda: states(world, handle.id) == {"accepted": PAGES})
    return time.monotonic() - begun


async def test_the_server_holds_pages_back(world: World, figure: Figure) -> None:
    assert SHOWN in (Path(__file__).parents[2] / "docs/channels.md").read_text()
    await world.with_settings(page_size=1)
    await limit(world, SHOWN)
    try:
        limited = await campaign(world)
    finally:
        await limit(world, SHOWN.replace("limit 2", "limit default"))
    assert limited > 1.5
    figure(f"server limit: {PAGES - 1} further pages at 2 a second on send-sms took {limited:.1f} s")
