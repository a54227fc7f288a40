"""The place where faults happen: real servers and databases, a crew of workers that is kept full, fresh customers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlmodel import select
from temporalio.client import WorkflowHandle

from tellfirst.contract import Result
from tellfirst.domain.base import Frozen
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.sends import Tally
from tellfirst.store.tables import SendRow
from tests.chaos.points import Traps
from tests.chaos.proxy import Proxy
from tests.chaos.trouble import Trouble
from tests.faults.installation import ROOT, TEMPORAL, Installation, until
from tests.resend_server import API_KEY

IN_FLIGHT = 4
ALSO = {
    # Decided within six seconds, and sent within twelve.
    "brief_delivery": {
        'remind_after = "PT2H"': 'remind_after = "PT2S"',
        'escalate_after = "PT4H"': 'escalate_after = "PT4S"',
        'expires_after = "PT24H"': 'expires_after = "PT6S"',
        'after = "P2D"\nlead = "PT2H"': 'after = "PT14S"\nlead = "PT2S"',
    },
    "pair_delivery": {'expires_after = "PT24H"': 'expires_after = "PT24H"\nquorum = 2'},
    "swept_delivery": {},
    # Its text cannot be made where the order is called so.
    "odd_delivery": {
        "sorry.{% if others": "sorry.{% if order_id contains 'poison' and order_id > 5 %} Very.{% endif %}{% if others"
    },
}
"""Further playbooks: what is replaced in the shipped one."""
PAGE_SIZE = 10


class Told(Frozen):
    """Is one outreach to customers of its own: which of them, and its workflow."""

    outreach: str
    first: int
    count: int
    channel: str = "sms"

    @property
    def numbers(self) -> frozenset[str]:
        """Returns the telephone numbers of its customers, or their other addresses."""
        return frozenset(number_of(n, self.channel) for n in range(self.first, self.first + self.count))


class Place(Installation):
    """Is an installation whose workers can be caught at each point, and are replaced when they die."""

    def __init__(self, folder: Path, *, database_url: str = "", **more: Any) -> None:
        super().__init__(folder, delay_ms=10, database_url=database_url, in_flight=IN_FLIGHT, also=ALSO, **more)
        self.traps, self.trouble = Traps(folder), Trouble(folder)
        self.environment |= {
            "CHAOS_TRAPS": str(folder),
            "TELLFIRST_PAGE_SIZE": str(PAGE_SIZE),
            "TELLFIRST_PROVIDER_TIMEOUT": "1.5",
            "TELLFIRST_LEASE_SECONDS": "3",
        }
        self.proxy = Proxy(self.provider.port)
        self.environment["TELLFIRST_TWILIO_API_BASE"] = self.proxy.base_url
        # The other provider keeps keys: what is in doubt may be asked for again.
        self.environment |= {
            "TELLFIRST_EMAIL": "resend",
            "TELLFIRST_EMAIL_SENDER": "Shop <help@shop.example.com>",
            "TELLFIRST_EMAIL_API_KEY": API_KEY,
            "TELLFIRST_EMAIL_API_BASE": self.provider.base_url,
        }
        # A workflow is deleted when the server knows that its end was worked off: every half minute otherwise.
        self.server_flags = ('history.transferProcessorUpdateAckInterval="500ms"',)
        self.crew: set[int] = set()
        self._customers, self._keys = 0, 0
        self._asked = asyncio.Lock()
        self._fills = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, at)
        self.proxy.stop()

    # -- workers

    @asynccontextmanager
    async def working(self, workers: int = 2) -> AsyncIterator[None]:
        """Keeps so many workers alive until the end of the block, whatever becomes of each."""
        self._forks = await self._forking()
        keeping = asyncio.create_task(self._keep(workers))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            for one in self.crew:
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            self._forks.communicate()

    async def roll(self, **environment: str) -> int:
        """Replaces one worker after the other as a deployment does, by workers of the code that is named there.

        Returns how many were replaced.
        """
        following = await self._forking(**environment)
        async with self._asked:
            before, self._forks = self._forks, following
        crew = [one for one in self.crew if alive(one)]
        for one in crew:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGTERM)
            await until(lambda one=one: not alive(one), 60)
        before.communicate()
        return len(crew)

    async def _forking(self, **environment: str) -> "subprocess.Popen[str]":
        """Starts the process that workers are forked from."""
        with self.logs.open("ab") as log:
            forks = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker"],
                cwd=ROOT,
                env={**os.environ, **self.environment, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert forks.stdout is not None
        await asyncio.to_thread(forks.stdout.readline)
        return forks

    async def fork(self, **environment: str) -> int:
        """Starts a worker and returns its process id; nobody replaces it."""
        async with self._asked:
            assert self._forks.stdin is not None
            assert self._forks.stdout is not None
            self._forks.stdin.write(json.dumps({**self.environment, **environment}) + "\n")
            self._forks.stdin.flush()
            return int(await asyncio.to_thread(self._forks.stdout.readline))

    async def _keep(self, workers: int) -> None:
        while True:
            self.crew = {one for one in self.crew if alive(one)}
            while self._fills and len([one for one in self.crew if not stopped(one)]) < workers:
                self.crew.add(await self.fork())
            await asyncio.sleep(0.1)

    @contextmanager
    def as_they_are(self) -> Iterator[None]:
        """Lets nobody stand in for a worker that is stopped for a moment only."""
        self._fills = False
        try:
            yield
        finally:
            self._fills = True

    # -- customers

    def strangers(self, count: int, *, channel: str = "sms", region: str | None = None) -> int:
        """Adds customers whom nobody was told of yet, with one address, and returns the number of the first."""
        first, self._customers = self._customers, self._customers + count
        records = [
            CustomerRecord(
                id=f"c-{n}",
                first_name=f"Zebulon{n}",
                timezone="UTC",
                region=region,
                addresses={channel: number_of(n, channel)},
            )
            for n in range(first, first + count)
        ]
        Customers(self.database).save(records, now=datetime.now(UTC), source="test")
        return first

    async def tell(self, count: int, *, approve: bool = True, channel: str = "sms", region: str | None = None) -> Told:
        """Starts an outreach to so many strangers, and approves it."""
        first, self._keys = self.strangers(count, channel=channel, region=region), self._keys + 1
        handle = await self.start(count, f"chaos-{self._keys}", first=first)
        if approve:
            await self.approve(handle, within=120)
        return Told(outreach=handle.id, first=first, count=count, channel=channel)

    def handle(self, told: Told) -> WorkflowHandle[Any, Any]:
        """Returns the workflow of an outreach."""
        return self.client.get_workflow_handle(told.outreach)

    async def planned(self, told: Told, within: float = 180) -> None:
        """Waits until an outreach can be decided."""
        await until(lambda: self.outreaches.revision(told.outreach, 1) is not None, within)

    async def settled(self, told: Told, within: float = 180) -> Tally:
        """Waits until every send of an outreach has ended, be it in doubt for a person, and returns their tally."""
        await until(lambda: ended(self.sends.tally(told.outreach), told.count), within)
        return self.sends.tally(told.outreach)

    async def outcome(self, told: Sequence[Told]) -> dict[str, int]:
        """Waits until outreaches have settled, and counts what is wrong by the provider's log, and what is held."""
        held = 0
        for one in told:
            held += (await self.settled(one)).unknown
        texts = self.texts()
        times = [texts[number] for one in told for number in one.numbers]
        return {
            "lost": max(times.count(0) - held, 0),
            "duplicate": sum(max(count - 1, 0) for count in times),
            "unknown_held": held,
        }

    async def result(self, told: Told, within: float = 60) -> Result:
        """Waits for the end of an outreach and returns it."""
        handle = self.client.get_workflow_handle(told.outreach, result_type=Result)
        return await asyncio.wait_for(handle.result(), within)

    def entries(self, told: Told) -> dict[str, SendRow]:
        """Returns what the effect log says of the first message of an outreach, by number or other address."""
        with self.database.read() as session:
            rows = session.exec(select(SendRow).where(SendRow.outreach_id == told.outreach, SendRow.step == "initial"))
            return {number_of(int(row.customer_id.removeprefix("c-")), told.channel): row for row in rows}

    # -- servers

    def kill_temporal(self) -> None:
        """Kills the Temporal server as a power cut would."""
        self.kill(self._server)

    async def restart_temporal(self) -> None:
        """Kills the Temporal server as a power cut would, and starts it again on its file."""
        self.kill_temporal()
        await self.start_temporal()

    # -- what the provider saw

    def texts(self) -> Counter[str]:
        """Counts the messages that the provider accepted, by number."""
        return Counter(str(message["to"]) for message in self.provider.accepted())

    async def verify(self) -> dict[str, Any]:
        """Returns what `tellfirst verify` finds, the provider's log at hand."""
        command = [str(TEMPORAL.with_name("tellfirst")), "verify", "--json", "--provider-log", str(self.provider.log)]
        done = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **self.environment}, stdout=asyncio.subprocess.PIPE
        )
        found: dict[str, Any] = json.loads((await done.communicate())[0])
        return found


def number_of(customer: int, channel: str = "sms") -> str:
    """Returns the telephone number of customer n, or the mail address."""
    return f"+1415{customer:07d}" if channel == "sms" else f"zebulon{customer}@example.org"


def ended(tally: Tally, count: int) -> bool:
    """Says whether each of so many sends is accepted, failed, withheld or unknown."""
    over = tally.accepted + tally.unknown + tally.failed + tally.withheld
    return over == count and not (tally.in_doubt or tally.planned or tally.deferred)


def alive(process: int) -> bool:
    """Says whether a process that is not our child still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def stopped(process: int) -> bool:
    """Says whether a process was stopped by a signal."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False
