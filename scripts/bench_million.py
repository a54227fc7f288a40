"""`million`: one condition and a million recipients, nine of ten by e-mail in batches and the others by SMS."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from bench_actions import billable
from bench_place import CORES, Stage, peak_mb, seconds_of
from bench_plan import begin, fill, planned
from bench_report import Benchmark, figure
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle

from tellfirst.domain.base import Frozen
from tests.faults.installation import Installation
from tests.sendgrid_server import Mails

SAME = {" {{ order_id }}": "", "{% if first_name %}{{ first_name }}, your{% else %}Your{% endif %}": "Your"}
"""All get the same words, as in an outage: only such mails share a request, and each other one is a request alone."""
STEP = 10_000
LAST = 10
"""Tenths of the recipients that the curve is compared over: the last one and the first.

As texts leave first and take longer than mails, the mails are compared with each other too.
"""
Reached = list[tuple[float, int]]
"""Instants in seconds, and how many had been told by each."""


class Course(Frozen):
    """Is one run; of the curves each entry is the seconds that the next STEP recipients took."""

    planned: float
    drawn: float
    sent: float
    curve: tuple[float, ...]
    mails: tuple[float, ...]
    texts: tuple[float, ...]
    peak: float
    database: float
    events: int
    history: int
    actions: int
    spent: float
    doubts: int
    lost: int
    duplicate: int


async def course(stage: Stage, recipients: int) -> Course:
    """Carries one outreach from its start to the last answer."""
    with Mails() as mails:
        async with stage.installation(also={"million": SAME}, **mailing(mails)) as place:
            await asyncio.to_thread(fill, place.database, "million", "great", recipients)
            workers = [place.worker() for _ in range(CORES)]
            begun = time.perf_counter()
            handle = await begin(place, "million", "great")
            await planned(place, handle)
            taken = time.perf_counter() - begun
            await place.approve(handle)
            approved = time.perf_counter()
            before, (texted, mailed) = seconds_of(place.processes), await watched(place, mails, recipients)
            spent = seconds_of(place.processes) - before
            while (tally := await asyncio.to_thread(place.sends.tally, handle.id)).in_doubt:
                await asyncio.sleep(1)
            counts = mails.counts()
            texts = [one["to"] for one in place.provider.accepted()]
            duplicate = counts["duplicates"] + len(texts) - len(set(texts))
            runs = [run async for run in chain(place.client, handle)]
            return Course(
                planned=taken,
                drawn=texted[0][0] - approved,
                sent=texted[-1][0] - texted[0][0],
                curve=curve([(at, n + m) for (at, n), (_, m) in zip(texted, mailed, strict=True)]),
                mails=curve(mailed),
                texts=curve(texted),
                peak=max(peak_mb(worker) for worker in workers),
                database=megabytes(place),
                events=max(events for events, _, _ in runs),
                history=max(size for _, size, _ in runs),
                actions=sum(actions for _, _, actions in runs),
                spent=spent,
                doubts=tally.unknown,
                lost=recipients - len(texts) - counts["mails"] + duplicate - tally.unknown,
                duplicate=duplicate,
            )


def mailing(mails: Mails) -> dict[str, str]:
    """Returns the settings of an installation whose mails leave in requests as large as they may be."""
    return {
        "TELLFIRST_EMAIL": "sendgrid",
        "TELLFIRST_EMAIL_API_KEY": "SG.of-this-stand-in",
        "TELLFIRST_EMAIL_API_BASE": mails.base_url,
        "TELLFIRST_EMAIL_SENDER": "Shop <help@shop.example.com>",
        "TELLFIRST_EMAIL_BATCH": "1000",
        # A page is one request then. An action is billed for each page, and one for each second that one is in work.
        "TELLFIRST_PAGE_SIZE": "1000",
    }


async def watched(place: Installation, mails: Mails, recipients: int) -> tuple[Reached, Reached]:
    """Asks the providers, and no database, until all are told; returns how far texts and mails had come, and when."""
    texted, mailed = list[tuple[float, int]](), list[tuple[float, int]]()
    done = 0
    while done < recipients:
        await asyncio.sleep(0.1)
        accepted, counts = place.provider.stats()["accepted"], mails.counts()
        now, done = time.perf_counter(), accepted + counts["mails"] - counts["duplicates"]
        if done:
            texted.append((now, accepted))
            mailed.append((now, counts["mails"]))
    return texted, mailed


def curve(reached: Reached) -> tuple[float, ...]:
    """Returns the seconds that STEP took along the way, from the first one told on; of few, what they would take."""
    step = max(1, min(STEP, reached[-1][1] // LAST))
    begun, passed = next(((at, n) for at, n in reached if n), (0.0, 0))
    taken = []
    for at, n in reached:
        # Many may have been told between two looks: they took equally long.
        if steps := (n - passed) // step:
            taken += [(at - begun) / steps * STEP / step] * steps
            begun, passed = at, passed + steps * step
    return tuple(taken)


def growth(taken: tuple[float, ...]) -> float:
    """Returns how many times as long the last tenth took as the first."""
    tenth = max(1, len(taken) // LAST)
    return sum(taken[-tenth:]) / sum(taken[:tenth])


async def chain(client: Client, handle: WorkflowHandle[Any, Any]) -> AsyncIterator[tuple[int, int, int]]:
    """Yields events, bytes and billable actions of each run of an outreach."""
    run = (await client.get_workflow_handle(handle.id).describe()).raw_description.workflow_execution_info.first_run_id
    while run:
        one = client.get_workflow_handle(handle.id, run_id=run)
        events = (await one.fetch_history()).events
        info = (await one.describe()).raw_description.workflow_execution_info
        yield len(events), info.history_size_bytes, billable(events)
        run = events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id


def megabytes(place: Installation) -> float:
    """Returns the size of the database, log included, in MB."""
    if place.database.is_sqlite:
        return sum(file.stat().st_size for file in place.folder.glob("tellfirst.db*")) / 1e6
    with place.database.read() as session:
        return float(session.execute(text("SELECT pg_database_size(current_database())")).scalar_one()) / 1e6


async def million(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures once, however many runs are asked for: each recipient is a repetition of the one before."""
    one = await course(stage, recipients)
    thousand = recipients / 1000
    return Benchmark(
        name="million",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("start to recorded revision", [one.planned], "s"),
            figure("approval to first message", [one.drawn], "s"),
            figure("first to last message", [one.sent], "s"),
            figure("recipients per second", [recipients / one.sent], "1/s"),
            figure(f"seconds per {STEP:,} recipients", one.curve, "s"),
            figure(f"seconds per {STEP:,} by e-mail", one.mails, "s"),
            figure(f"seconds per {STEP:,} by SMS", one.texts, "s"),
            figure("last tenth to first", [growth(one.curve)], "", most=1.15),
            figure("last tenth to first, by e-mail", [growth(one.mails)], "", most=1.15),
            figure("processor seconds per 1,000", [one.spent / thousand], "s"),
            figure("peak memory of a worker", [one.peak], "MB", most=600),
            figure("database per 1,000", [one.database / thousand], "MB"),
            figure("largest history, events", [float(one.events)], "", most=10_000),
            figure("largest history, bytes", [float(one.history)], "B"),
            figure("billable actions per 1,000", [one.actions / thousand], "", most=12),
            figure("unknown_held", [float(one.doubts)], "", most=0),
            figure("lost", [float(one.lost)], "", most=0),
            figure("duplicates", [float(one.duplicate)], "", most=0),
        ),
        note="one of ten by SMS, which leave first, and nine by e-mail in the same words, up to 1,000 a request",
    )
