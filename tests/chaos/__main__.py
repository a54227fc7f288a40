"""`scripts/chaos`: provokes the faults that real systems meet, and says what became of every message."""

import argparse
import asyncio
import sys

from temporalio.runtime import Runtime, TelemetryConfig

from tests.chaos import seeds
from tests.chaos.report import Report
from tests.chaos.run import KINDS, Wish, provoke


def main() -> int:
    """Returns the exit code: 0 when everything that was promised held."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="of faults; seeded bugs come after; default 5")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the sizes of rounds; default 1")
    parser.add_argument("--only", action="append", choices=sorted(KINDS), help="kinds of faults; default all")
    parser.add_argument("--database", action="append", choices=("sqlite", "postgres"), help="default both in turn")
    parser.add_argument("--no-seeds", action="store_true", help="leave the seeded bugs out")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    wish = Wish(
        minutes=given.minutes,
        seed=given.seed,
        kinds=tuple(given.only or KINDS),
        databases=tuple(given.database or ("sqlite", "postgres")),
    )
    # What the SDK says of servers that are gone would stand in the report.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    report = asyncio.run(_both(wish, seeded=not given.no_seeds))
    if given.json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
    else:
        for kind, count in report.kinds.items():
            sys.stdout.write(f"{kind:<44} {count:>5}\n")
        for name, failed in report.controls.items():
            sys.stdout.write(f"control: {name:<35} {'fails' if failed else 'HOLDS':>5}\n")
        for sentence in report.broken:
            sys.stdout.write(f"broken: {sentence}\n")
        sys.stdout.write(report.line() + "\n")
    return 0 if report.held else 1


async def _both(wish: Wish, *, seeded: bool) -> Report:
    report = await provoke(wish, told=sys.stderr)
    bugs = await seeds.caught() if seeded else {}
    return report.model_copy(update={"seeded_bugs": bugs})


if __name__ == "__main__":
    sys.exit(main())
