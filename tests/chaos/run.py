"""A run of faults: rounds of all kinds, in an order by seed, on one database after the other, until time is over."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Literal, TextIO

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

Round = Callable[[Place, Tallies, Random], Awaitable[None]]
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


async def provoke(wish: Wish, told: TextIO, kinds: Mapping[str, Sequence[Round]] = KINDS) -> Report:
    """Runs rounds until the time is over, each kind at least once a database, and returns their sum."""
    dice, seen, begun = Random(wish.seed), Tallies(), time.monotonic()
    for part, where in enumerate(wish.databases, start=1):
        end = begun + 60 * wish.minutes * part / len(wish.databases)
        each = [(name, one) for name in wish.kinds for one in kinds[name]]
        rounds, left = _in_turn(each, dice), len(each)
        while left > 0 or time.monotonic() < end:
            with _database(where) as url:
                left -= await _in_one_place(url, rounds, end, seen, dice, told, least=left)
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
    url: str, rounds: Iterator[tuple[str, Round]], end: float, seen: Tallies, dice: Random, told: TextIO, *, least: int
) -> int:
    """Runs rounds in one installation, `least` of them in any case, until time is over or one fails; counts them."""
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder), database_url=url) as place:
            place.people(0)
            async with place.working(WORKERS):
                while done < least or time.monotonic() < end:
                    done += 1
                    if not await _one(*next(rounds), place, seen, dice, told):
                        break
            found = await place.verify()
            seen.saw({name: found[name] for name in ("lost", "duplicate", "unauthorised", "after_optout")})
            for sentence in found["promises_broken"]:
                seen.wrong(f"verify: {sentence}")
            if UNREPLAYABLE in place.logs.read_text(errors="replace"):
                seen.wrong("a worker met a history that its code does not fit")
    return done


async def _one(name: str, one: Round, place: Place, seen: Tallies, dice: Random, told: TextIO) -> bool:
    """Runs one round and returns whether it came to its end."""
    begun, before = time.monotonic(), seen.kinds.total()
    try:
        async with asyncio.timeout(LONGEST):
            await one(place, seen, dice)
    except Exception as error:
        seen.wrong(f"{name}: {type(error).__name__} {error}")
        _keep(place, name)
        return False
    finally:
        took, faults = time.monotonic() - begun, seen.kinds.total()
        told.write(f"{name:<12} {faults - before:>4} faults in {took:>5.1f} s, {faults:>5} in all {_short(seen)}\n")
        told.flush()
    return True


def _in_turn(each: list[tuple[str, Round]], dice: Random) -> Iterator[tuple[str, Round]]:
    """Yields all rounds again and again, each time in another order."""
    while True:
        yield from dice.sample(each, len(each))


def _short(seen: Tallies) -> str:
    return " ".join(f"{name}={count}" for name, count in sorted(seen.found.items()) if count)


def _keep(place: Place, name: str) -> None:
    """Keeps the logs of a place in which a round failed, for who looks for the cause."""
    kept = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    for log in place.folder.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
