"""What a benchmark says: figures, their runs, and what they must be; a table for people, JSON for machines."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from tellfirst.cli.output import print_table
from tellfirst.domain.base import Frozen

Database = Literal["sqlite", "postgres"]


class Figure(Frozen):
    """Is one measured figure: the median of its `runs`, and whether it is `held` at most or at least what it `must` be.

    A figure that need not be anything has an empty `must`, and null as `held`; a ratio and a count have no `unit`.
    """

    name: str
    value: float
    unit: str
    runs: tuple[float, ...]
    must: str = ""
    held: bool | None = None


class Benchmark(Frozen):
    """Is one benchmark on one database over so many recipients; `note` says what bounds it or was left out."""

    name: str
    database: Database
    recipients: int
    figures: tuple[Figure, ...]
    note: str = ""


class Machine(Frozen):
    """Is what everything was measured on; `fsync_ms` is the median of 200 synced writes of 4 KiB."""

    cores: int
    memory_gib: float
    system: str
    python: str
    temporalio: str
    fsync_ms: float


class Bench(Frozen):
    """Is one run of `scripts/bench`, which took so many `seconds`."""

    format: Literal[1] = 1
    machine: Machine
    seconds: float
    benchmarks: tuple[Benchmark, ...]


def figure(
    name: str, runs: Sequence[float], unit: str, *, least: float | None = None, most: float | None = None
) -> Figure:
    """Returns the median of runs, and whether it keeps a bound."""
    value = statistics.median(runs)
    must = f"at least {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
    held = None if not must else value >= least if least is not None else most is not None and value <= most
    return Figure(name=name, value=value, unit=unit, runs=tuple(runs), must=must, held=held)


def machine() -> Machine:
    """Returns what this machine is."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=round(pages / 2**30, 1),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        temporalio=version("temporalio"),
        fsync_ms=_fsync_ms(),
    )


def _fsync_ms() -> float:
    taken = []
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        for _ in range(200):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(taken), 3)


def show(report: Bench) -> None:
    """Prints a report for people."""
    one = report.machine
    print(
        f"{one.cores} cores, {one.memory_gib} GiB, {one.system}, Python {one.python}, temporalio {one.temporalio}; "
        f"a synced write takes {one.fsync_ms} ms"
    )
    rows = [
        (
            f"{benchmark.name}, {benchmark.database}",
            figure.name,
            _plain(figure.value),
            figure.unit,
            f"{_plain(min(figure.runs))} to {_plain(max(figure.runs))}",
            figure.must,
            "" if figure.held is None else "yes" if figure.held else "NO",
        )
        for benchmark in report.benchmarks
        for figure in benchmark.figures
    ]
    columns = ("benchmark", "figure", "median", "unit", "runs", "must be", "is")
    print_table(columns, rows, numbers=("median",))
    for benchmark in report.benchmarks:
        if benchmark.note:
            print(f"{benchmark.name}: {benchmark.note}")


def _plain(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
