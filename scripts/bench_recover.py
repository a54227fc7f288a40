"""`recover`: the only worker is killed in mid-dispatch; how long until the pages that it had in work send again."""

import asyncio
import json
import os
import time
from collections import Counter

from bench_place import Stage
from bench_report import Benchmark, figure
from sqlmodel import select

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.tables import SendRow
from tests.faults.installation import TEMPORAL, Installation, until

OF_TESTS = ("TELLFIRST_LEASE_SECONDS", "TELLFIRST_PROVIDER_TIMEOUT")
"""What the fault tests shorten: here the defaults count."""
CONNECTIONS = 25


class Recovery(Frozen):
    """Is one kill: `silent` seconds until an interrupted page sent again, `settled` until everything was."""

    silent: float
    settled: float
    in_flight: int
    held: int
    duplicate: int
    lost: int


async def kill_and_restart(stage: Stage, recipients: int) -> Recovery:
    """Kills the only worker while the provider holds its requests, and starts another at once."""
    async with stage.installation(delay_ms=5) as place:
        for name in OF_TESTS:
            del place.environment[name]
        place.people(recipients)
        victim = place.worker()
        handle = await place.start(recipients)
        await place.approve(handle, within=120)
        await until(lambda: place.provider.stats()["accepted"] > recipients // 8, 120)
        # The provider keeps its answers to itself: the kill meets requests that it accepted and never answered.
        await asyncio.to_thread(place.provider.fault, "hold")
        await asyncio.to_thread(place.provider.wait, held=CONNECTIONS)
        in_flight = place.provider.stats()["in_flight"]
        place.kill(victim)
        killed = time.time()
        place.worker()
        interrupted = unsent(place)
        await asyncio.to_thread(place.provider.clear)
        await asyncio.to_thread(place.provider.release)
        await until(lambda: settled(place, handle.id, recipients), 300)
        done = time.time()
        messages = place.provider.accepted()
        again = min(m["at"] for m in messages if m["at"] > killed and m["to"] in interrupted)
        verified = await verify(place)
        twice = sum(count - 1 for count in Counter(m["to"] for m in messages).values())
        return Recovery(
            silent=again - killed,
            settled=done - killed,
            in_flight=in_flight,
            held=verified["unknown_held"],
            duplicate=max(twice, verified["duplicate"]),
            lost=max(recipients - len(messages) - verified["unknown_held"], verified["lost"]),
        )


def unsent(place: Installation) -> set[str]:
    """Returns the numbers of those whose message was not begun though others of their page were."""
    with place.database.read() as session:
        rows = session.exec(select(SendRow.customer_id, SendRow.page, SendRow.state)).all()
    pages = {page for _, page, state in rows if state == SendState.INTENT}
    waiting = {who for who, page, state in rows if page in pages and state == SendState.PLANNED}
    return {f"+1415{int(who.removeprefix('c-')):07d}" for who in waiting}


def settled(place: Installation, outreach: str, recipients: int) -> bool:
    """Returns whether every message was sent or is held."""
    tally = place.sends.tally(outreach)
    return tally.accepted + tally.unknown == recipients and not tally.in_doubt


async def verify(place: Installation) -> dict[str, int]:
    """Returns what `tellfirst verify` says against the provider's own log."""
    command = [str(TEMPORAL.with_name("tellfirst")), "verify", "--json", "--provider-log", str(place.provider.log)]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **place.environment}, stdout=asyncio.subprocess.PIPE
    )
    counts: dict[str, int] = json.loads((await process.communicate())[0])
    return counts


async def recover(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures as many kills as there are runs."""
    kills = [await kill_and_restart(stage, recipients) for _ in range(runs)]
    return Benchmark(
        name="recover",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("until an interrupted page sends", [one.silent for one in kills], "s", most=15),
            figure("until everything is settled", [one.settled for one in kills], "s"),
            figure("requests in flight at the kill", [float(one.in_flight) for one in kills], ""),
            figure(
                "held beyond those in flight", [float(max(0, one.held - one.in_flight)) for one in kills], "", most=0
            ),
            figure("duplicates", [float(one.duplicate) for one in kills], "", most=0),
            figure("lost", [float(one.lost) for one in kills], "", most=0),
        ),
    )
