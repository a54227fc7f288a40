"""`latency`: from an accepted decision to its first request at the provider, while a mass of another trigger leaves."""

import asyncio
import math
from datetime import UTC, datetime
from statistics import median

from bench_place import CORES, Stage
from bench_report import Benchmark, figure
from sqlmodel import select

from tellfirst.client import OutreachClient
from tellfirst.domain.condition import Condition, Subject
from tellfirst.store.tables import DecisionRow
from tests.faults.installation import Installation, until

DECISIONS = 40
TRIGGERS = {"normal": "delay_normal", "urgent": "delay_urgent"}
ALSO = {"delay_normal": {}, "delay_urgent": {'urgency = "normal"': 'urgency = "urgent"'}}


async def decide_beside(stage: Stage, recipients: int) -> dict[str, list[float]]:
    """Returns the seconds that each decision took, by urgency."""
    async with stage.installation(also=ALSO) as place:
        place.people(recipients + DECISIONS)
        for _ in range(CORES):
            place.worker()
        mass = await place.start(recipients)
        outreaches = [await plan(place, n, recipients + n) for n in range(DECISIONS)]
        for name in outreaches:
            await until(lambda: place.outreaches.revision(name, 1) is not None, 60)  # noqa: B023 - awaited here
        await place.approve(mass, within=300)
        await until(lambda: place.provider.stats()["accepted"] > recipients // 50, 60)
        for name in outreaches:
            await place.approve(place.client.get_workflow_handle(name))
            await asyncio.sleep(0.2)  # decisions of people do not come one upon the other
        at_once = place.sends.tally(mass.id)
        assert at_once.accepted < recipients, "the mass was over before the last decision: give more recipients"
        numbers = [f"+1415{recipients + n:07d}" for n in range(DECISIONS)]
        first: dict[str, float] = {}

        def all_there() -> bool:
            for message in place.provider.accepted():
                first.setdefault(message["to"], message["at"])
            return first.keys() >= set(numbers)

        await until(all_there, 60)
        accepted = received(place)
        taken: dict[str, list[float]] = {urgency: [] for urgency in TRIGGERS}
        for n, (name, number) in enumerate(zip(outreaches, numbers, strict=True)):
            taken[_urgency(n)].append(first[number] - accepted[name])
        return taken


async def plan(place: Installation, n: int, customer: int) -> str:
    """Starts an outreach to one customer."""
    now = datetime.now(UTC)
    facts = {"order_id": f"o-{customer}", "promised_at": "2026-11-20"}
    subject = Subject(key=f"s-{n}", customer=f"c-{customer}", facts=facts)
    condition = Condition(trigger=TRIGGERS[_urgency(n)], key=f"one-{n}", detected_at=now, subjects=(subject,))
    return (await OutreachClient(place.client).start(condition)).outreach


def received(place: Installation) -> dict[str, float]:
    """Returns when the accepted decision about each outreach was received, in seconds of the epoch."""
    with place.database.read() as session:
        rows = session.exec(select(DecisionRow).where(DecisionRow.accepted)).all()
    return {row.about: row.received_at.timestamp() for row in rows}


def _urgency(n: int) -> str:
    return "urgent" if n % 2 else "normal"


def nearly_all(taken: list[float]) -> float:
    """Returns the 99th percentile: the smallest value that 99 of 100 do not exceed."""
    return sorted(taken)[math.ceil(0.99 * len(taken)) - 1]


async def latency(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures forty decisions a run, half of them urgent."""
    each = [await decide_beside(stage, recipients) for _ in range(runs)]
    every = [[*one["normal"], *one["urgent"]] for one in each]
    return Benchmark(
        name="latency",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("decision to first request, median", [median(one) for one in every], "s", most=0.5),
            figure("99 of 100 decisions within", [nearly_all(one) for one in every], "s", most=2),
            figure("of normal ones, median", [median(one["normal"]) for one in each], "s"),
            figure("of urgent ones, median", [median(one["urgent"]) for one in each], "s"),
        ),
    )
