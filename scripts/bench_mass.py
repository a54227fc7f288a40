"""`mass`: one outreach to many by SMS, beside the bare loop over the same client, transport and provider."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_place import CORES, Stage, seconds_of
from bench_report import Benchmark, figure

from tellfirst.channels.twilio_account import TwilioAccount
from tests.faults.installation import until
from tests.provider import Provider

CONNECTIONS = (5, 10, 25, 50)
BODY = "Shop: your order o-{n} is late. We have asked the carrier. You need do nothing. Next word by Tuesday."


async def bare(provider: Provider, recipients: int, connections: int) -> float:
    """Returns messages per second of a loop that does nothing but send."""
    account = TwilioAccount(
        provider.account_sid, provider.auth_token, base_url=provider.base_url, timeout=30, in_flight=connections
    )
    left = iter(range(recipients))

    async def work() -> None:
        for n in left:
            await account.client.messages.create_async(
                to=f"+1415{n:07d}",
                messaging_service_sid=provider.service_sid,
                body=BODY.format(n=n),
                validity_period=3600,
                status_callback=f"https://tell.example.com/twilio/status?d={n:032x}",
            )

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    taken = time.perf_counter() - begun
    await account.close()
    return recipients / taken


async def raw(recipients: int, connections: int) -> float:
    """Returns messages per second of the bare loop on a provider of its own."""
    with TemporaryDirectory(prefix="tf-bench-") as folder, Provider(Path(folder) / "provider.jsonl") as provider:
        return await bare(provider, recipients, connections)


async def ours(stage: Stage, recipients: int) -> tuple[float, float, int]:
    """Returns recipients per second from the first request to the last answer, processor seconds, and unknown sends."""
    async with stage.installation() as place:
        place.people(recipients)
        workers = [place.worker() for _ in range(CORES)]
        handle = await place.start(recipients)
        await place.approve(handle, within=300)
        before = seconds_of(place.processes)
        await until(lambda: place.provider.stats()["accepted"] > 0, 60)
        begun = time.perf_counter()
        done = 0
        while done < recipients:
            await asyncio.sleep(0.1)
            tally = place.sends.tally(handle.id)
            done = tally.accepted + tally.unknown + tally.failed
        taken = time.perf_counter() - begun
        assert len(workers) == CORES
        assert tally.accepted + tally.unknown == recipients
        return recipients / taken, seconds_of(place.processes) - before, tally.unknown


async def mass(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures both in turn."""
    best = max(CONNECTIONS, key={c: await raw(2_000, c) for c in CONNECTIONS}.__getitem__)
    bares, rates, costs, unknown = [], [], [], []
    for _ in range(runs):
        bares.append(await raw(recipients, best))
        rate, cost, held = await ours(stage, recipients)
        rates.append(rate)
        costs.append(cost * 1000 / recipients)
        unknown.append(float(held))
    return Benchmark(
        name="mass",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("recipients per second", rates, "1/s"),
            figure(f"bare loop, {best} connections", bares, "1/s", least=1000),
            figure("ratio", [a / b for a, b in zip(rates, bares, strict=True)], "", least=0.70),
            figure("processor seconds per 1,000", costs, "s"),
            figure("unknown_held", unknown, "", most=0),
        ),
    )
