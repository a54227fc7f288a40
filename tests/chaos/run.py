"""A run of faults: rounds of all kinds, in an order by seed, on one database after the other, until time is over."""

import asyncio
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal, TextIO

from tellfirst.domain.base import Frozen
from tests.chaos.kinds import (
    approvals,
    boundaries,
    clock,
    database,
    deploy,
    killed,
    optouts,
    poison,
    provider,
    starts,
    stopped,
    temporal,
    webhooks,
)
from tests.chaos.place import Place
from tests.chaos.report import Report, Tallies
from tests.postgres import started

Round = Callable[[Place, Tallies, Random], Awaitable[object]]
KINDS: Mapping[str, Sequence[Round]] = {
    "approvals": approvals.ROUNDS,
    "boundaries": boundaries.ROUNDS,
    "clock": clock.ROUNDS,
    "database": database.ROUNDS,
    "deploy": deploy.ROUNDS,
    "killed": killed.ROUNDS,
    "optouts": optouts.ROUNDS,
    "poison": poison.ROUNDS,
    "provider": provider.ROUNDS,
    "starts": starts.ROUNDS,
    "stopped": stopped.ROUNDS,
    "temporal": temporal.ROUNDS,
    "webhooks": webhooks.ROUNDS,
}
LONGEST = 300.0
"""Seconds after which a round has failed."""
WORKERS = 4
UNREPLAYABLE = "TMPRL1100"
"""How the SDK's log names a history that its code does not fit."""


class Wish(Frozen):
    """Is what a run is to be."""

    minutes: float
    seed: int
    kinds: tuple[str, ...]
    databases: tuple[Literal["sqlite", "postgres"], ...] = ("sqlite", "postgres")


class Order:
    """Says which round is next: by chance one of those that ran least often, on whichever database."""

    def __init__(self, rounds: Sequence[tuple[str, Round]], dice: Random) -> None:
        self._rounds, self._dice = list(enumerate(rounds)), dice
        self._runs, self._void = Counter[int](), set[int]()

    def next(self) -> tuple[int, str, Round]:
        """Returns the number of a round, its kind and the round."""
        open_ = [one for one in self._rounds if one[0] not in self._void]
        least = min(self._runs[number] for number, _ in open_)
        number, (name, one) = self._dice.choice([one for one in open_ if self._runs[one[0]] == least])
        self._runs[number] += 1
        return number, name, one

    def void(self, number: int) -> None:
        """Leaves a round out that had nothing to do here, on this database or for the second time."""
        self._runs[number] -= 1
        self._void.add(number)

    def elsewhere(self) -> None:
        """Takes all rounds in again, for another database."""
        self._void.clear()

    @property
    def more(self) -> bool:
        """Says whether some round has not run that could."""
        return any(not self._runs[number] for number, _ in self._rounds if number not in self._void)

    @property
    def exhausted(self) -> bool:
        """Says whether no round has anything to do here."""
        return len(self._void) == len(self._rounds)


async def provoke(wish: Wish, told: TextIO, kinds: Mapping[str, Sequence[Round]] = KINDS) -> Report:
    """Runs rounds until the time is over, each at least once where there is no time for more, and returns their sum."""
    dice, seen, begun = Random(wish.seed), Tallies(), time.monotonic()
    order = Order([(name, one) for name in wish.kinds for one in kinds[name]], dice)
    for part, kind in enumerate(wish.databases, start=1):
        end = begun + 60 * wish.minutes * part / len(wish.databases)
        last = part == len(wish.databases)
        order.elsewhere()
        while not order.exhausted and (time.monotonic() < end or (order.more and (last or not wish.minutes))):
            with _database(kind) as url:
                await _in_one_place(url, order, end, seen, dice, told, to_the_last=last or not wish.minutes)
    return seen.report(seed=wish.seed, minutes=round((time.monotonic() - begun) / 60, 1))


@contextmanager
def _database(kind: str) -> Iterator[str]:
    """Yields the URL of a database of its own, empty for a file in the installation's folder."""
    if kind == "sqlite":
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="tf-pg-") as folder, started(Path(folder) / "data", {}) as url:
        yield url


async def _in_one_place(
    url: str, order: Order, end: float, seen: Tallies, dice: Random, told: TextIO, *, to_the_last: bool
) -> None:
    """Runs rounds in one installation until time is over (`to_the_last`: until none is left out) or one fails."""
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder), database_url=url) as place:
            place.people(0)
            async with place.working(WORKERS):
                while not order.exhausted and (time.monotonic() < end or (to_the_last and order.more)):
                    number, name, one = order.next()
                    before = seen.kinds.total(), len(seen.controls)
                    if not await _one(name, one, place, seen, dice, told):
                        break
                    if before == (seen.kinds.total(), len(seen.controls)):
                        order.void(number)
            found = await place.verify()
            seen.saw({name: found[name] for name in ("lost", "duplicate", "unauthorised", "after_optout")})
            for sentence in found["promises_broken"]:
                seen.wrong(f"verify: {sentence}")
            if UNREPLAYABLE in place.logs.read_text(errors="replace"):
                seen.wrong("a worker met a history that its code does not fit")


async def _one(name: str, one: Round, place: Place, seen: Tallies, dice: Random, told: TextIO) -> bool:
    """Runs one round and returns whether it came to its end."""
    begun, before = time.monotonic(), seen.kinds.total()
    running = asyncio.ensure_future(one(place, seen, dice))
    failed = ""
    try:
        async with asyncio.timeout(LONGEST):
            await asyncio.wait({running})
            running.result()
    except Exception as error:
        failed = f"{name}: {type(error).__name__} {error}{_where(running)}"
        seen.wrong(failed)
        running.cancel()
        await asyncio.wait({running}, timeout=30)  # what then goes on all the same ends with the place
        _keep(place, name, "".join(traceback.format_exception(error)))
    took, faults = time.monotonic() - begun, seen.kinds.total()
    told.write(f"{name:<12} {faults - before:>4} faults in {took:>5.1f} s, {faults:>5} in all {_short(seen)}\n")
    if failed:
        told.write(f"  failed: {failed}\n")
    told.flush()
    return not failed


def _where(running: "asyncio.Future[None]") -> str:
    """Says what a round waits for that goes on."""
    waits: Any = running.get_coro() if isinstance(running, asyncio.Task) and not running.done() else None
    lines = []
    while frame := getattr(waits, "cr_frame", None):
        lines.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        waits = waits.cr_await
    return f" in {' > '.join(lines)}" if lines else ""


def _short(seen: Tallies) -> str:
    return " ".join(f"{name}={count}" for name, count in sorted(seen.found.items()) if count)


def _keep(place: Place, name: str, failure: str) -> None:
    """Keeps the logs of a place in which a round failed, for who looks for the cause."""
    kept = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    (kept / "failure").write_text(failure)
    for log in place.folder.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
