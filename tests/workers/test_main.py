"""How a worker process leaves: on request, in good order, and never later than it may."""

import asyncio
import signal
from pathlib import Path

from tests.faults.installation import Installation
from workers.__main__ import come_to_rest


class Stuck:
    """Is a worker that never comes to rest."""

    async def shutdown(self) -> None:
        await asyncio.Event().wait()


async def test_a_worker_that_never_rests_is_left_behind() -> None:
    stuck = asyncio.create_task(Stuck().shutdown())
    rested = await asyncio.wait_for(come_to_rest([Stuck()], [stuck], within=0.05), 5)  # type: ignore[list-item]
    assert not rested
    stuck.cancel()


async def test_a_worker_process_leaves_in_good_order_when_asked(tmp_path: Path) -> None:
    async with Installation(tmp_path) as place:
        place.people(1)
        worker = place.worker()
        handle = await place.start(1)
        await place.approve(handle)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 60) == 0
        assert "Traceback" not in place.logs.read_text()
