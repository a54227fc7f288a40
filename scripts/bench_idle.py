"""`idle`: thousands of open outreaches; what a worker holds, how fast a new one answers, how late timers are."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TypeVar

from bench_latency import nearly_all
from bench_place import CORES, Stage, peak_mb
from bench_report import Benchmark, figure
from sqlmodel import col, select

from tellfirst import contract
from tellfirst.client import OutreachClient
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Condition, Subject
from tellfirst.errors import UnreachableError
from tellfirst.policy.quiet import WEEK
from tellfirst.policy.slots import GRID
from tellfirst.store.tables import RecipientRow
from tests.faults.installation import Installation, until
from workers.pool import CACHED_OUTREACHES

T = TypeVar("T")
AT_ONCE = 30
"""Starts, and then people and programs, that wait for an answer at the same time."""
ASSUMED_RATE = 25
"""Answers a second that are waited for before the timers fall due."""
DUE_AT_ONCE = 4
"""One in so many outreaches waits for the same instant."""
HOURS = """
[[allowed]]
regions = ["*"]
days = {today}
from = "{opens:%H:%M}"
to = "{closes:%H:%M}"
source = "the benchmark"
checked_on = 2026-11-22

[[allowed]]
regions = ["*"]
days = {others}
from = "00:00"
to = "24:00"
source = "the benchmark"
checked_on = 2026-11-22
"""


class Restart(Frozen):
    """Is one life of a new worker: seconds until its first answer, answers a second from then on, and each lateness."""

    first: float
    rate: float
    late: tuple[float, ...]
    memory: float


async def open_many(place: Installation, count: int) -> list[str]:
    """Starts outreaches to one customer each and waits until all are planned."""
    place.people(count, timezone="UTC")
    workers = [place.worker() for _ in range(CORES)]
    client = OutreachClient(place.client)

    def start(n: int) -> Callable[[], Awaitable[str]]:
        facts = {"order_id": f"o-{n}", "promised_at": "2026-11-20"}
        subject = Subject(key=f"s-{n}", customer=f"c-{n}", facts=facts)
        condition = Condition(
            trigger="late_delivery", key=f"idle-{n}", detected_at=datetime.now(UTC), subjects=(subject,)
        )

        async def started() -> str:
            return (await client.start(condition)).outreach

        return started

    names = await together([start(n) for n in range(count)])
    query = f"{contract.STAGE.name}='{contract.Stage.AWAITING_APPROVAL}'"
    while (await place.client.count_workflows(query)).count < count:
        await asyncio.sleep(1)
    for worker in workers:
        place.kill(worker)
    return names


async def restart(place: Installation, names: list[str], due: set[str]) -> Restart:
    """Starts a worker that knows nothing, asks it about every outreach at once, and waits for those that are `due`.

    Those are approved outside the hours of their customers, and wait for the minute in which these begin.
    """
    opens = close_until(place, datetime.now(UTC) + timedelta(seconds=30 + len(names) / ASSUMED_RATE))
    worker, begun = place.worker(), time.monotonic()
    answered: list[float] = []

    def ask(name: str, *, approve: bool) -> Callable[[], Awaitable[None]]:
        async def asked() -> None:
            while True:
                try:
                    if approve:
                        await place.approve(place.client.get_workflow_handle(name))
                    else:
                        await OutreachClient(place.client).view(name)
                except UnreachableError:
                    continue  # as its message says
                answered.append(time.monotonic() - begun)
                return

        return asked

    await together([ask(name, approve=name in due) for name in names])
    assert datetime.now(UTC) < opens, "the timers were due before everybody had an answer: the machine is too slow"
    await until(lambda: len(_told(place, due)) == len(due), (opens - datetime.now(UTC)).total_seconds() + 300)
    late = tuple((at - opens).total_seconds() for at in _told(place, due))
    await until(lambda: all(place.sends.tally(name).accepted for name in due), 300)
    memory = peak_mb(worker)
    place.kill(worker)
    rate = (len(answered) - 1) / (answered[-1] - answered[0])
    return Restart(first=answered[0], rate=rate, late=late, memory=memory)


def close_until(place: Installation, at: datetime) -> datetime:
    """Lets nobody be disturbed today before some minute soon after `at`, and returns it."""
    opens = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    closes = on_grid(opens) + GRID
    # Open across a point of the grid on which waits end, that would be the instant, and it would be minutes away.
    if closes - opens < timedelta(minutes=2):
        opens, closes = closes, closes + GRID
    closed = {day for day in WEEK if day in (WEEK[at.weekday()], WEEK[opens.weekday()])}
    hours = place.folder / "hours.toml"
    others = [day for day in WEEK if day not in closed]
    hours.write_text(HOURS.format(today=sorted(closed), others=others, opens=opens, closes=closes))
    place.environment["TELLFIRST_HOURS"] = str(hours)
    return opens


def on_grid(at: datetime) -> datetime:
    """Returns the last point of the grid up to `at`."""
    return at - (at - datetime.fromtimestamp(0, UTC)) % GRID


async def together(work: list[Callable[[], Awaitable[T]]]) -> list[T]:
    """Does all of it, some at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(do: Callable[[], Awaitable[T]]) -> T:
        async with room:
            return await do()

    return await asyncio.gather(*(one(do) for do in work))


def _told(place: Installation, outreaches: set[str]) -> list[datetime]:
    """Returns when the wave of each of these outreaches was drawn, of those where it was."""
    with place.database.read() as session:
        query = select(RecipientRow.t0).where(
            col(RecipientRow.outreach_id).in_(outreaches), col(RecipientRow.t0).is_not(None)
        )
        return [at for at in session.exec(query) if at is not None]


async def idle(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures as many restarts as there are runs, at most one for each part of the outreaches."""
    async with stage.installation() as place:
        names = await open_many(place, recipients)
        parts = max(DUE_AT_ONCE, runs)
        size = len(names[::parts])
        lives = []
        for run in range(runs):
            # Among all others, as it comes: of those that fall due some are still in memory, and some replay.
            lives.append(await restart(place, names, set(names[run::parts])))
        stuck = place.logs.read_text(errors="replace").count("TMPRL1101")
    return Benchmark(
        name="idle",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("outreaches cached at most", [float(CACHED_OUTREACHES)], ""),
            figure("worker memory, peak", [one.memory for one in lives], "MB", most=600),
            figure("first answer after a kill", [one.first for one in lives], "s"),
            figure("answers per second, cold", [one.rate for one in lives], "1/s", least=30),
            figure(f"{size} timers at once, median late", [median(one.late) for one in lives], "s", most=5),
            figure("99 of 100 timers within", [nearly_all(list(one.late)) for one in lives], "s"),
            figure("tasks given up after two seconds", [float(stuck)], "", most=0),
        ),
    )
