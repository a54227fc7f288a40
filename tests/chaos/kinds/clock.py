"""Workers whose machine's clock is put forward and back while they send, each by something else.

The clock of a process is changed by a small library that is loaded before all others; it takes a C compiler to make it.
Some customers may be disturbed only when a wrong clock says that it is now: nobody tells them. Plans and decisions are
dated by the machine's clock, so those are made while it is right.
"""

import asyncio
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tellfirst.client import OutreachClient
from tests.chaos.place import Place, Told
from tests.chaos.points import Point
from tests.chaos.report import Tallies
from tests.faults.installation import until

HOUR, DAY = 3_600, 86_400
WRONG = (0, HOUR, -HOUR, DAY)
"""Seconds by which the clocks of the workers are wrong."""
WORKERS, STEPS, OUTREACHES, PEOPLE = 4, 4, 2, 16
ASLEEP = "DE"
"""Where those live who may be disturbed only at hours that wrong clocks show."""


async def stepped(place: Place, seen: Tallies, dice: Random) -> None:
    """Sets clocks anew while outreaches leave and workers die, and looks at who was told, and how often."""
    async with _place_with_clocks() as (other, clocks):
        seen.controls["a process whose clock is set believes it"] = clocks.are_wrong(other.environment)
        async with other.working(WORKERS):
            asleep = await other.tell(PEOPLE, region=ASLEEP)
            told = [one for _ in range(STEPS) for one in await _leave(other, clocks, seen, dice)]
            seen.saw(await other.outcome(told))
            _look(other, seen, asleep)
        found = await other.verify()
        seen.saw({name: found[name] for name in ("unauthorised", "after_optout")})
        for sentence in found["promises_broken"]:
            seen.wrong(f"clock: {sentence}")


async def _leave(place: Place, clocks: "Clocks", seen: Tallies, dice: Random) -> list[Told]:
    """Tells some, and while the first are told sets all clocks anew; one worker dies with a page in hand."""
    told = await asyncio.gather(*(place.tell(PEOPLE, approve=False) for _ in range(OUTREACHES)))
    for one in told:
        await place.planned(one)
    sprung, texts, client = len(place.traps.sprung()), place.texts().total(), OutreachClient(place.client)
    for one in told:
        await client.pause(one.outreach, paused=True)
        await place.approve(place.handle(one))
    for one in told:
        await client.pause(one.outreach, paused=False)
    await until(lambda: place.texts().total() > texts, 60)
    place.traps.arm(Point.BEFORE_POST, "SIGKILL")
    wrong = list(WRONG)
    dice.shuffle(wrong)
    seen.fault("clock of a worker set", clocks.set(wrong, place.crew))
    for one in told:
        await place.settled(one)
    place.traps.disarm()
    clocks.set([0] * len(WRONG))
    for dead in place.traps.sprung()[sprung:]:
        seen.fault(f"sigkill {dead.point}", in_flight=dead.in_flight)
    return list(told)


def _look(place: Place, seen: Tallies, asleep: Told) -> None:
    if _texts(place, asleep):
        seen.wrong("clock: somebody was told at a bad hour")
    row = place.outreaches.revision(asleep.outreach, 1)
    if row is None or row.plan.recipients != PEOPLE:
        seen.wrong("clock: nobody was to be told at a bad hour anyway")


def _texts(place: Place, told: Told) -> int:
    texts = place.texts()
    return sum(texts[number] for number in told.numbers)


class Clocks:
    """Are the clocks of the workers of a place, by their process id."""

    def __init__(self, file: Path) -> None:
        self._file, self._wrong = file, [0] * len(WRONG)
        file.write_bytes(struct.pack("4q", *self._wrong))

    def are_wrong(self, environment: Mapping[str, str]) -> bool:
        """Says whether a process of that environment is an hour ahead when its clock is set so."""
        self.set([HOUR] * len(WRONG))
        told = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
        )
        self.set([0] * len(WRONG))
        return abs(float(told.stdout) - time.time() - HOUR) < 60

    def set(self, wrong: list[int], crew: frozenset[int] | set[int] = frozenset()) -> int:
        """Lets clocks be wrong by so many seconds from now on; returns how many of a crew that changes."""
        before, self._wrong = self._wrong, list(wrong)
        with self._file.open("r+b") as file:  # in place: the workers look at these bytes
            file.write(struct.pack("4q", *wrong))
        return sum(before[one % len(WRONG)] != wrong[one % len(WRONG)] for one in crew)


@asynccontextmanager
async def _place_with_clocks() -> AsyncIterator[tuple[Place, Clocks]]:
    """Yields a place of its own, whose workers' clocks can be set and whose people sleep but at hours that are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "clock.so"
        compiler = shutil.which("cc")
        assert compiler is not None, "a C compiler is needed to change the clock of a process"
        source = Path(__file__).parent.parent / "clock.c"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source)], check=True)
        hours = folder / "hours.toml"
        hours.write_text(_hours(datetime.now(UTC)))
        (folder / "place").mkdir()
        async with Place(folder / "place") as place:
            place.environment["TELLFIRST_HOURS"] = str(hours)
            place.people(0)
            clocks = Clocks(folder / "clock")
            place.environment |= {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(folder / "clock")}
            yield place, clocks
            del place.environment["LD_PRELOAD"]


def _hours(now: datetime) -> str:
    """Returns hours at which all may be disturbed, but in one region today and tomorrow only when clocks are wrong."""
    rows = [_row("*", "mon tue wed thu fri sat sun", "00:00", "24:00")]
    for wrong in WRONG:
        if wrong:
            start = now + timedelta(seconds=wrong) - timedelta(minutes=20)
            end = start + timedelta(minutes=40)
            rows.append(_row(ASLEEP, f"{start:%a}".lower(), f"{start:%H:%M}", f"{end:%H:%M}"))
    later = [now + timedelta(days=days) for days in range(2, 6)]  # or what is promised could not be kept
    return "".join([*rows, _row(ASLEEP, " ".join(f"{day:%a}".lower() for day in later), "00:00", "24:00")])


def _row(region: str, days: str, start: str, end: str) -> str:
    return (
        f'[[allowed]]\nregions = ["{region}"]\ndays = {days.split()}\nfrom = "{start}"\nto = "{end}"\n'
        'source = "test"\nchecked_on = 2026-11-22\n'
    )


ROUNDS = (stepped,)
