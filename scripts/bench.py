"""`scripts/bench`: runs the benchmarks that are asked for, prints what they say; exit 1 when a figure falls short."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench_idle import idle
from bench_latency import latency
from bench_mass import mass
from bench_million import million
from bench_place import Stage, stage
from bench_plan import plan
from bench_recover import recover
from bench_report import Bench, Benchmark, Database, machine, show
from bench_single import single

Run = Callable[[Stage, int, int], Awaitable[Benchmark]]

BENCHMARKS: dict[str, tuple[Run, int]] = {
    "mass": (mass, 20_000),
    "single": (single, 600),
    "recover": (recover, 4_000),
    "idle": (idle, 2_000),
    "latency": (latency, 30_000),
    "million": (million, 1_000_000),
    "plan": (plan, 1_000_000),
}
"""What there is to measure, and with how many recipients unless told otherwise."""


async def measure(names: list[str], databases: list[Database], recipients: int | None, runs: int) -> Bench:
    """Runs benchmarks one after the other."""
    begun, done = time.monotonic(), []
    for database in databases:
        with stage(database) as place:
            for name in names:
                run, usual = BENCHMARKS[name]
                print(f"{name} on {database} …", file=sys.stderr, flush=True)
                done.append(await run(place, recipients or usual, runs))
    return Bench(machine=machine(), seconds=round(time.monotonic() - begun, 1), benchmarks=tuple(done))


def main() -> int:
    """Reads the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document (docs/contract/Bench.json)")
    parser.add_argument("--recipients", type=int, metavar="N", help="instead of each benchmark's own number")
    parser.add_argument("--database", choices=get_args(Database), action="append", help="default both")
    parser.add_argument("--only", choices=sorted(BENCHMARKS), action="append", help="default all")
    parser.add_argument("--runs", type=int, default=3, help="how often each is repeated; default 3")
    given = parser.parse_args()
    if (given.recipients or 1) < 1 or given.runs < 1:
        parser.error("--recipients and --runs are at least 1")
    databases = given.database or list(get_args(Database))
    report = asyncio.run(measure(given.only or list(BENCHMARKS), databases, given.recipients, given.runs))
    if given.json:
        print(report.model_dump_json(indent=2))
    else:
        show(report)
    return int(any(figure.held is False for one in report.benchmarks for figure in one.figures))


if __name__ == "__main__":
    sys.exit(main())
