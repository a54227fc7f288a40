"""The same condition started again: at once, after its end, after Temporal forgot it; detectors over the same rows."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from random import Random

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tellfirst import contract
from tellfirst.cli.detect import tell_all
from tellfirst.client import OutreachClient
from tellfirst.contract import Ending, Result
from tellfirst.detectors.sql import SqlSource
from tellfirst.detectors.sweep import sweep
from tellfirst.domain.condition import Condition
from tellfirst.playbooks.loader import load_file
from tellfirst.store.admissions import Admissions
from tellfirst.store.engine import Database, open_engine
from tests.chaos.deciding import Case, planned, signed, subject, submit, together
from tests.chaos.place import Place, Told, number_of
from tests.chaos.report import Tallies
from tests.faults.installation import TEMPORAL

CONDITIONS, MOST = 10, 20
"""Conditions of one round, and how many starts of one there are at most at once."""
PAIRS, BY_COMMAND = 20, 2
"""Pairs of sweeps at once in one round, and how many of them are commands in processes of their own."""
TRIGGER = "swept_delivery"
FORGOTTEN = 120.0
"""Seconds within which the server has deleted a workflow, if it has not much else to do."""


async def duplicates(place: Place, seen: Tallies, dice: Random) -> None:
    """Starts each condition many times at once, again after its end, and again once Temporal knows nothing of it."""
    conditions = [_condition(place, dice.randint(1, 3)) for _ in range(CONDITIONS)]
    cases = await together(*(_started(place, seen, one, dice.randint(2, MOST)) for one in conditions))
    await _tell(place, seen, cases)
    await together(*(_again(place, seen, one, case) for one, case in zip(conditions, cases, strict=True)))
    _once(place, seen, [case.told for case in cases])


async def detectors(place: Place, seen: Tallies, dice: Random) -> None:
    """Lets two detectors sweep the same source at once, also while its rows change, and again over old rows."""
    shop = Shop(place, TRIGGER)
    try:
        for number in range(PAIRS):
            changes = bool(number % 2)
            first, count = shop.order(dice.randint(2, 6)), 2
            by_command = number < BY_COMMAND
            pair = together(
                shop.detect(0, by_command=by_command), shop.detect(number % 3, detector=1, by_command=by_command)
            )
            if changes:
                await asyncio.sleep(dice.uniform(0, 0.05))
                shop.order(count)
                shop.deliver(first)
            await pair
            seen.fault("two detectors over rows that change" if changes else "two detectors at once")
        await shop.detect(1)
        shop.order(3, late=timedelta(days=20))
        await _restarted(shop, seen)
        await shop.settled(seen)
    finally:
        shop.close()


ROUNDS = (duplicates, detectors)


# -- starts


def _condition(place: Place, people: int) -> tuple[Condition, Told]:
    first = place.strangers(people)
    condition = Condition(
        trigger="late_delivery",
        key=f"start-{first}",
        detected_at=datetime.now(UTC),
        subjects=tuple(subject(n) for n in range(first, first + people)),
    )
    id_ = contract.outreach_id(condition.trigger, condition.key, condition.episode)
    return condition, Told(outreach=id_, first=first, count=people)


async def _started(place: Place, seen: Tallies, one: tuple[Condition, Told], times: int) -> Case:
    """Starts a condition by our client and by any other, all at once, and again under another id while it is open."""
    condition, told = one
    ours = OutreachClient(place.client)
    await together(*(ours.start(condition) if n % 2 else _raw(place, condition, told.outreach) for n in range(times)))
    seen.fault("start doubled", times - 1)
    revision = await planned(place, told.outreach, number=1)
    copy = f"copy/{told.outreach}"
    await _raw(place, condition, copy)
    seen.fault("start under another id")
    await _duplicate(place, seen, copy)
    return Case(told=told, revision=revision)


async def _raw(place: Place, condition: Condition, name: str) -> None:
    """Starts a condition as a client does that knows nothing but the contract's names."""
    with suppress(WorkflowAlreadyStartedError):
        await place.client.start_workflow(contract.OUTREACH, condition, id=name, task_queue=contract.QUEUE)


async def _again(place: Place, seen: Tallies, one: tuple[Condition, Told], case: Case) -> None:
    condition, told = one
    ours = OutreachClient(place.client)
    await ours.tell(told.outreach, "abort", note="enough")
    await place.result(told)
    if not (await ours.start(condition)).ended_before:
        seen.wrong("a condition that has ended was started again")
    await _raw(place, condition, told.outreach)
    seen.fault("start after the end", 2)
    await _duplicate(place, seen, told.outreach)
    if await _forgotten(place, told.outreach):
        await ours.start(condition)
        seen.fault("start after Temporal forgot it")
        await _duplicate(place, seen, told.outreach)


async def _duplicate(place: Place, seen: Tallies, name: str) -> None:
    """Waits for the end of a workflow, which is to be that of a duplicate."""
    handle = place.client.get_workflow_handle(name, result_type=Result)
    result = await asyncio.wait_for(handle.result(), 60)
    if result.ending is not Ending.DUPLICATE:
        seen.wrong(f"a condition that was started again ended {result.ending}")


async def _forgotten(place: Place, name: str) -> bool:
    """Deletes the last run of a workflow, as the server does when its time is over; says whether it is gone soon."""
    request = DeleteWorkflowExecutionRequest(
        namespace=place.client.namespace, workflow_execution=WorkflowExecution(workflow_id=name)
    )
    await place.client.workflow_service.delete_workflow_execution(request)
    end = time.monotonic() + FORGOTTEN
    while time.monotonic() < end:
        try:
            await place.client.get_workflow_handle(name).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise
        await asyncio.sleep(0.2)
    return False


# -- detectors


class Shop:
    """Is an operational database of its own, and what its customers are to be told."""

    def __init__(self, place: Place, trigger: str) -> None:
        self._place, self._trigger = place, trigger
        self._file = place.folder / f"shop-{place.strangers(1)}.db"
        self._playbook = load_file(place.folder / "playbooks" / f"{trigger}.toml").playbook
        # Two detectors share nothing but the databases.
        self._ledgers = [Database(open_engine(place.settings.database)) for _ in range(2)]
        self._late: set[int] = set()
        self._delivered: set[int] = set()
        self._old: set[int] = set()
        with closing(sqlite3.connect(self._file)) as database, database:
            columns = (
                "order_id TEXT, customer_id TEXT, status TEXT, placed_at TEXT, promised_at TEXT, delivered_at TEXT"
            )
            database.execute(f"CREATE TABLE orders ({columns})")

    def order(self, count: int, late: timedelta = timedelta(days=2)) -> int:
        """Adds orders of so many strangers that are late by so much, and returns the number of the first."""
        first, promised = self._place.strangers(count), datetime.now(UTC) - late
        numbers = range(first, first + count)
        (self._late if late < self._playbook.detector.max_age else self._old).update(numbers)
        placed, due = (promised - timedelta(days=3)).isoformat(), promised.isoformat()
        with closing(sqlite3.connect(self._file, timeout=30)) as database, database:
            database.executemany(
                "INSERT INTO orders VALUES (?, ?, 'shipped', ?, ?, NULL)",
                [(f"{self._file.stem}-{n}", f"c-{n}", placed, due) for n in numbers],
            )
        return first

    def deliver(self, customer: int) -> None:
        """Lets a customer's order arrive: whether they are told turns on who was faster."""
        self._late.discard(customer)
        self._delivered.add(customer)
        with closing(sqlite3.connect(self._file, timeout=30)) as database, database:
            now = datetime.now(UTC).isoformat()
            database.execute("UPDATE orders SET delivered_at = ? WHERE customer_id = ?", (now, f"c-{customer}"))

    async def detect(self, ahead: int, *, detector: int = 0, by_command: bool = False) -> int:
        """Sweeps as of so many seconds from now, starts what is found, and returns how many subjects were new."""
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead)
        url = f"sqlite:///{self._file}"
        if by_command:
            await _run(self._place, "detect", self._trigger, "--source-url", url, "--at", at.isoformat(), "--json")
            return 0
        ledger = Admissions(self._ledgers[detector])

        def look() -> int:
            with SqlSource(url) as source:
                return sweep(self._playbook, source, ledger, at=at, given={}, dry_run=False).new

        new = await asyncio.to_thread(look)
        client = OutreachClient(self._place.client)
        for condition, _ in ledger.waiting(self._trigger):
            await client.start(condition)
        await tell_all(client, ledger.changed(self._trigger, at=at))  # two sweeps in one second are one condition
        return new

    async def settled(self, seen: Tallies) -> None:
        """Waits until all who are to be told were, and looks whether nobody was told twice, or of what is long ago."""
        async with asyncio.timeout(180):
            while not all(self._place.texts()[number_of(n)] for n in self._late):
                await self._approve()
                await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)
        texts = self._place.texts()
        everybody = self._late | self._delivered | self._old
        seen.saw(
            {
                "duplicate": sum(max(texts[number_of(n)] - 1, 0) for n in everybody),
                "unauthorised": sum(texts[number_of(n)] for n in self._old),
            }
        )

    async def _approve(self) -> None:
        """Approves what waits for it."""
        place = self._place
        for one in place.outreaches.pending():
            if one.outreach.startswith(f"outreach/{self._trigger}/"):
                answer = await submit(place, one.outreach, signed(place.ana, "ana", one))
                assert answer.accepted or answer.code in ("already_decided", "stale_content"), answer

    def close(self) -> None:
        """Closes the detectors' connections."""
        for ledger in self._ledgers:
            ledger.close()


async def _restarted(shop: Shop, seen: Tallies) -> None:
    """Sweeps again and again over the same rows, as detectors do that begin anew."""
    found = [await shop.detect(ahead) for ahead in (0, 1, 2, 3, 0, 1, 2, 3, 0, 1)]
    if any(found[1:]):
        seen.wrong(f"a detector that began anew found {found[1:]} of what had been found")
    seen.fault("detector restarted over old rows", len(found))


async def _run(place: Place, *words: str) -> None:
    done = await asyncio.create_subprocess_exec(
        *(str(TEMPORAL.with_name("tellfirst")), *words),
        env={**os.environ, **place.environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await done.wait() == 0, f"`tellfirst {words[0]}` failed"


# -- what became of it


async def _tell(place: Place, seen: Tallies, cases: Sequence[Case]) -> None:
    for case in cases:
        answer = await submit(place, case.id, signed(place.ana, "ana", case.revision))
        assert answer.accepted, answer
    seen.saw(
        {name: count for name, count in (await place.outcome([case.told for case in cases])).items() if name == "lost"}
    )


def _once(place: Place, seen: Tallies, told: Sequence[Told]) -> None:
    texts = place.texts()
    seen.saw({"duplicate": sum(max(texts[number] - 1, 0) for one in told for number in one.numbers)})
