"""`python -m tests.chaos --minutes M --seed S [--json]`: provokes faults, and says what became of every message."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.chaos.kinds.killed import round_of
from tests.chaos.place import Place
from tests.chaos.points import Point
from tests.chaos.report import Report, Tallies


async def run(minutes: float, seed: int) -> Report:
    """Runs rounds of faults until the time is over."""
    dice, seen, end = Random(seed), Tallies(), time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as place:
            place.people(0)
            async with place.working(3):
                while time.monotonic() < end:
                    for point in Point:
                        began = time.monotonic()
                        await round_of(place, seen, dice, point)
                        sys.stderr.write(f"{point}: {time.monotonic() - began:.1f} s {dict(seen.found)}\n")
            verified = await place.verify()
            seen.saw({name: verified[name] for name in ("lost", "duplicate", "unauthorised", "after_optout")})
    return seen.report(seed=seed, minutes=minutes)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    report = asyncio.run(run(given.minutes, given.seed))
    sys.stdout.write((report.model_dump_json(indent=2) if given.json else report.line()) + "\n")
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
