"""The floor beneath `single`: a bare workflow with as many activities, timers and messages, in which nothing is done.

usage: bench_floor.py ADDRESS FILE: runs a worker that writes the id of each workflow into FILE once it is "planned".
"""

import asyncio
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

sys.path.insert(0, str(Path(__file__).parent.parent))

from workers.sandbox import Sandbox

QUEUE = "floor"
SHORT = timedelta(seconds=10)


@activity.defn
async def nothing() -> None:
    """Does nothing."""


class Planned:
    """Says which workflows wait to be approved."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @activity.defn
    async def plan(self) -> None:
        """Writes one line, which whoever approves reads."""
        os.write(self._file, f"{activity.info().workflow_id}\n".encode())


@workflow.defn
class Floor:
    """Is what an outreach to one would be if nothing had to be kept, checked or shown."""

    def __init__(self) -> None:
        self._approved = False

    @workflow.update
    async def approve(self, _: str) -> str:
        """Takes a word that nobody checks."""
        await self._at_once()
        self._approved = True
        return "approved"

    @workflow.run
    async def run(self, seconds: list[float]) -> None:
        """Plans, is approved, sends, looks again, sends an update and closes after its window."""
        expires, update, window = (workflow.now() + timedelta(seconds=one) for one in seconds)
        await workflow.execute_activity_method(Planned.plan, start_to_close_timeout=SHORT)
        await workflow.wait_condition(lambda: self._approved, timeout=expires - workflow.now())
        await self._at_once()
        await self._send()
        await self._until(update)
        await self._at_once()
        await self._send()
        await self._until(window)
        await self._at_once()

    async def _until(self, at: datetime) -> None:
        if (left := at - workflow.now()) > timedelta(0):
            await workflow.sleep(left)

    async def _at_once(self) -> None:
        await workflow.execute_local_activity(nothing, start_to_close_timeout=SHORT)

    async def _send(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=SHORT)


async def main(address: str, file: str) -> None:
    """Works until it is killed."""
    client = await Client.connect(address)
    work = [nothing, Planned(file).plan]
    # In the same sandbox as outreaches: what is measured is what they do in it.
    await Worker(client, task_queue=QUEUE, workflows=[Floor], workflow_runner=Sandbox(), activities=work).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
