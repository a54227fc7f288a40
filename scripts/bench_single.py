"""`single`: many outreaches to one recipient each, beside a bare workflow of the same shape on the same server."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench_actions import billable
from bench_floor import QUEUE, Floor
from bench_place import CORES, Stage, seconds_of
from bench_report import Benchmark, figure
from sqlmodel import select
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle

from tellfirst.client import OutreachClient
from tellfirst.contract import Result
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Condition, Subject
from tellfirst.errors import UnreachableError
from tellfirst.store.contacts import Contacts
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.tables import RevisionRow
from tests.faults.installation import Installation
from tests.signing.make import envelope
from tests.world import FAR

EXPIRES, UPDATE, WINDOW = 15, 16, 18
"""Seconds: what takes days with customers; no life is late for its approval while others keep the machine busy."""
BRISK = {
    'remind_after = "PT2H"': f'remind_after = "PT{EXPIRES}S"',
    'escalate_after = "PT4H"': f'escalate_after = "PT{EXPIRES}S"',
    'expires_after = "PT24H"': f'expires_after = "PT{EXPIRES}S"',
    'after = "P2D"\nlead = "PT2H"': f'after = "PT{UPDATE + 2}S"\nlead = "PT2S"',
    'window = "PT2S"': f'window = "PT{WINDOW}S"',
}
UNDECIDED = 12
"""Lives that are begun and not approved yet, at the same time; however many wait for their update or their window."""
SHAPE = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_MARKER_RECORDED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
)
"""What both must have the same number of."""
Handle = WorkflowHandle[Any, Any]


class Side(Protocol):
    """Is one of the two that are measured."""

    def worker(self) -> subprocess.Popen[bytes]:
        """Starts a worker process."""
        ...

    async def start(self, n: int) -> Handle:
        """Starts one life."""
        ...

    def planned(self) -> Iterable[str]:
        """Returns what can be approved now; what was returned before may be so again."""
        ...

    async def approve(self, handle: Handle) -> None:
        """Approves one life."""
        ...


class Outreaches:
    """Are outreaches to one customer each, by SMS and with no other way to them."""

    def __init__(self, place: Installation, count: int) -> None:
        self._place, self._client = place, OutreachClient(place.client)
        people = [CustomerRecord(id=f"c-{n}", addresses={"sms": f"+1415{n:07d}"}) for n in range(count + 2)]
        Customers(place.database).save(people, now=datetime.now(UTC), source="benchmark")
        Contacts(place.database).save([], source="benchmark", through=FAR, now=datetime.now(UTC))

    def worker(self) -> subprocess.Popen[bytes]:
        """Starts a worker process of the installation."""
        return self._place.worker()

    async def start(self, n: int) -> Handle:
        """Starts an outreach as any service does."""
        facts = {"order_id": f"o-{n}", "promised_at": "2026-11-20"}
        subject = Subject(key=f"o-{n}", customer=f"c-{n}", facts=facts)
        condition = Condition(trigger="single", key=f"o-{n}", detected_at=datetime.now(UTC), subjects=(subject,))
        started = await self._client.start(condition)
        return self._place.client.get_workflow_handle(started.outreach, result_type=Result)

    def planned(self) -> Iterable[str]:
        """Asks the database for no more than the names."""
        with self._place.database.read() as session:
            return session.exec(select(RevisionRow.outreach_id).where(RevisionRow.status == "pending")).all()

    async def approve(self, handle: Handle) -> None:
        """Signs and submits."""
        record = self._place.outreaches.revision(handle.id, 1)
        assert record is not None
        document = record.proposal.decide("approve", "ana", datetime.now(UTC))
        signed = envelope(self._place.ana, document)
        try:
            answer = await self._client.submit(handle.id, signed)
        except UnreachableError:
            answer = await self._client.submit(handle.id, signed)  # as its message says: it counts once
        assert answer.accepted, answer


class Bare:
    """Are workflows of the floor."""

    def __init__(self, place: Installation, turn: int) -> None:
        self._place, self._turn = place, turn
        self._file = place.folder / f"planned-{turn}"
        self._file.touch()

    def worker(self) -> subprocess.Popen[bytes]:
        """Starts a worker process of the floor's own."""
        command = (
            sys.executable,
            Path(__file__).with_name("bench_floor.py"),
            f"127.0.0.1:{self._place.port}",
            self._file,
        )
        process = subprocess.Popen(command)
        self._place.processes.append(process)
        return process

    async def start(self, n: int) -> Handle:
        """Starts one that waits as long as an outreach."""
        waits = [float(EXPIRES), float(UPDATE), float(WINDOW)]
        return await self._place.client.start_workflow(Floor.run, waits, id=f"floor/{self._turn}/{n}", task_queue=QUEUE)

    def planned(self) -> Iterable[str]:
        """Reads what its activities wrote."""
        return self._file.read_text().split()

    async def approve(self, handle: Handle) -> None:
        """Says yes."""
        await handle.execute_update(Floor.approve, "yes")


async def alone(side: Side, n: int) -> Handle:
    """Lives one life while nothing else does, so that no deadline has passed when it gets there."""
    handle = await side.start(n)
    while handle.id not in side.planned():
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)  # people take longer than a workflow task
    await side.approve(handle)
    await handle.result()
    return handle


async def rate(side: Side, count: int) -> float:
    """Returns lives per second, from the first fifth that ended to the fourth.

    The middle is what the machine can do: before it lives only begin, and after it they only wait.
    """
    door, waiting, ended = asyncio.Semaphore(UNDECIDED), dict[str, asyncio.Event](), list[float]()

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.05)
            if waiting:
                for name in side.planned():
                    if name in waiting:
                        waiting.pop(name).set()

    async def live(n: int) -> None:
        async with door:
            handle = await side.start(n)
            waiting[handle.id] = planned = asyncio.Event()
            await planned.wait()
            await side.approve(handle)
        await handle.result()
        ended.append(time.perf_counter())

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(600):
        await asyncio.gather(*(live(n) for n in range(count)))
    watching.cancel()
    return (count * 4 // 5 - count // 5) / (ended[count * 4 // 5 - 1] - ended[count // 5 - 1])


class Turn(Frozen):
    """Is one turn of one side: lives per second, and processor seconds per 1,000 of its workers and of the server."""

    rate: float
    workers: float
    server: float


async def measured(place: Installation, side: Side, count: int) -> tuple[Turn, Handle]:
    """Lets one side live, and returns what it came to and a life of it."""
    server, workers = place.processes[0], [side.worker() for _ in range(CORES)]
    await alone(side, count)  # the start of the workers is not what is measured
    one = await alone(side, count + 1)
    before = seconds_of(workers), seconds_of([server])
    per_second = await rate(side, count)
    spent = seconds_of(workers) - before[0], seconds_of([server]) - before[1]
    for process in workers:
        place.kill(process)
    return Turn(rate=per_second, workers=spent[0] * 1000 / count, server=spent[1] * 1000 / count), one


def shape(events: Iterable[HistoryEvent]) -> Counter[str]:
    """Returns how many events a history has of each kind that both must have alike."""
    return Counter(EventType.Name(event.event_type) for event in events if event.event_type in SHAPE)


async def single(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures both in turn; who comes first changes."""
    ours, floors = list[Turn](), list[Turn]()
    events, sizes, actions = list[float](), list[float](), list[float]()
    for turn in range(runs):
        async with stage.installation(also={"single": BRISK}) as place:
            sides: list[Side] = [Outreaches(place, recipients), Bare(place, turn)]
            for side in sides if turn % 2 == 0 else reversed(sides):
                came_to, one = await measured(place, side, recipients)
                history = (await one.fetch_history()).events
                if isinstance(side, Bare):
                    floors.append(came_to)
                    floor = shape(history)
                    continue
                ours.append(came_to)
                own = shape(history)
                events.append(len(history))
                sizes.append((await one.describe()).raw_description.workflow_execution_info.history_size_bytes)
                actions.append(billable(history))
            assert own == floor, f"the floor has another shape: {dict(own)} and {dict(floor)}"
    return Benchmark(
        name="single",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("outreaches per second", [one.rate for one in ours], "1/s"),
            figure("floor", [one.rate for one in floors], "1/s"),
            figure("ratio", [a.rate / b.rate for a, b in zip(ours, floors, strict=True)], "", least=0.75),
            figure("processor seconds per 1,000, workers", [one.workers for one in ours], "s"),
            figure("processor seconds per 1,000, floor's workers", [one.workers for one in floors], "s"),
            figure("processor seconds per 1,000, server", [one.server for one in ours], "s"),
            figure("processor seconds per 1,000, server of the floor", [one.server for one in floors], "s"),
            figure("history events", events, "", most=55),
            figure("history bytes", sizes, "B", most=10_240),
            figure("billable actions per outreach", actions, ""),
        ),
        note=f"{CORES} worker processes each, beside the server, and whoever starts and approves",
    )
