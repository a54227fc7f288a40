"""`mass`: one outreach to many by SMS, beside the bare loop over the same client, transport and provider.

Both are measured twice: while Twilio's two status callbacks of every message come in, and sending alone. Ours verifies,
keeps and folds each callback in its web process; the bare loop answers each with 204 and forgets it.
"""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_place import CORES, Stage, seconds_by_role, seconds_of
from bench_report import Benchmark, figure

from tellfirst.channels.twilio_account import TwilioAccount
from tellfirst.domain.message import SendState
from tests.faults.installation import Installation, until
from tests.http_connection import Connection
from tests.provider import Provider

CONNECTIONS = (5, 10, 25, 50)
RECEIPTS = 2
"""Of each message: `sent` and `delivered`."""
BODY = "Shop: your order o-{n} is late. We have asked the carrier. You need do nothing. Next word by Tuesday."
NOTE = (
    "with receipts, Twilio's signed `sent` and `delivered` of every message come in while it is sent: ours verifies, "
    "keeps and folds them in a web process beside the workers; the bare loop answers each and forgets it"
)


@dataclass(frozen=True)
class Sent:
    """Is one outreach that was sent; processor time in seconds, of all our processes, of the web process, by role."""

    rate: float
    cost: float
    unknown: int
    web_cost: float = 0.0
    receipt_rate: float = 0.0
    tail: float = 0.0
    delivered: int = 0
    roles: dict[str, float] = field(default_factory=dict)


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


async def raw(recipients: int, connections: int, *, receipts: bool = False) -> float:
    """Returns messages per second of the bare loop on a provider of its own."""
    loop = asyncio.get_running_loop()
    with TemporaryDirectory(prefix="tf-bench-") as folder, Provider(Path(folder) / "provider.jsonl") as provider:
        forgets = await loop.create_server(lambda: Connection(lambda on, *_: on.answer(204, "")), "127.0.0.1", 0)
        if receipts:
            provider.tell(f"http://127.0.0.1:{forgets.sockets[0].getsockname()[1]}")
        rate = await bare(provider, recipients, connections)
        forgets.close()
        return rate


async def ours(stage: Stage, recipients: int, *, receipts: bool = False) -> Sent:
    """Sends from the first request to the last answer, and waits until the last receipt is folded."""
    async with stage.installation() as place:
        place.people(recipients)
        web = [await place.web()] if receipts else []
        for _ in range(CORES):
            place.worker()
        handle = await place.start(recipients)
        await place.approve(handle, within=300)
        before, web_before = seconds_of(place.processes), seconds_of(web)
        roles_before = seconds_by_role(stage, place, web)
        await until(lambda: place.provider.stats()["accepted"] > 0, 60)
        begun = time.perf_counter()
        done = 0
        while done < recipients:
            await asyncio.sleep(0.1)
            tally = place.sends.tally(handle.id)
            done = tally.accepted + tally.unknown + tally.failed
        sent = time.perf_counter()
        cost = seconds_of(place.processes) - before
        assert tally.accepted + tally.unknown == recipients
        of_sending = Sent(rate=recipients / (sent - begun), cost=cost, unknown=tally.unknown)
        if not receipts:
            return of_sending
        await until(lambda: _folded(place, handle.id) or place.provider.stats()["refused"], 300)
        end = time.perf_counter()
        stats = place.provider.stats()
        assert (stats["told"], stats["refused"]) == (RECEIPTS * recipients, 0), stats
        return Sent(
            rate=of_sending.rate,
            cost=seconds_of(place.processes) - before,
            unknown=tally.unknown,
            web_cost=seconds_of(web) - web_before,
            receipt_rate=RECEIPTS * recipients / (end - begun),
            tail=end - sent,
            roles={role: spent - roles_before[role] for role, spent in seconds_by_role(stage, place, web).items()},
            delivered=sum(one.count for one in place.sends.states(handle.id) if one.state is SendState.DELIVERED),
        )


def _folded(place: Installation, outreach: str) -> bool:
    return {one.state for one in place.sends.states(outreach)} == {SendState.DELIVERED}


async def mass(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Measures all four in turn."""
    best = max(CONNECTIONS, key={c: await raw(2_000, c) for c in CONNECTIONS}.__getitem__)
    bares, told_bares, alone, told = [], [], [], []
    for _ in range(runs):
        bares.append(await raw(recipients, best))
        alone.append(await ours(stage, recipients))
        told_bares.append(await raw(recipients, best, receipts=True))
        told.append(await ours(stage, recipients, receipts=True))
    thousands = recipients / 1000
    return Benchmark(
        name="mass",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("recipients per second", [one.rate for one in told], "1/s"),
            figure(f"bare loop, {best} connections", told_bares, "1/s", least=1000),
            figure("ratio", [a.rate / b for a, b in zip(told, told_bares, strict=True)], "", least=0.70),
            figure("processor seconds per 1,000", [one.cost / thousands for one in told], "s"),
            *(
                figure(f"processor seconds per 1,000, {role}", [one.roles[role] / thousands for one in told], "s")
                for role in told[0].roles
            ),
            figure("receipts per second", [one.receipt_rate for one in told], "1/s"),
            figure(
                "web processor seconds per 1,000 receipts",
                [one.web_cost / thousands / RECEIPTS for one in told],
                "s",
            ),
            figure("last send to last receipt folded", [one.tail for one in told], "s"),
            figure("not delivered", [float(recipients - one.delivered) for one in told], "", most=0),
            figure("sending alone: recipients per second", [one.rate for one in alone], "1/s"),
            figure(f"sending alone: bare loop, {best} connections", bares, "1/s", least=1000),
            figure("sending alone: ratio", [a.rate / b for a, b in zip(alone, bares, strict=True)], "", least=0.70),
            figure("sending alone: processor seconds per 1,000", [one.cost / thousands for one in alone], "s"),
            figure("unknown_held", [float(one.unknown) for one in (*alone, *told)], "", most=0),
        ),
        note=NOTE,
    )
