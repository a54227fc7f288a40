"""A PostgreSQL server found by its URL, killed with all its processes, and started again as it was."""

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg


class Postmaster:
    """Is the server of a database."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self.connect() as connection:
            folder = connection.execute("SHOW data_directory").fetchone()
        assert folder is not None
        self._data = Path(folder[0])
        self._read()

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """Returns a connection of one's own that commits each statement."""
        return psycopg.connect(self._url, autocommit=True)

    def run(self, *statements: str) -> None:
        """Runs statements."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def kill(self) -> None:
        """Kills the server and all its processes as a power cut would, and waits for their end."""
        everyone = [self._process, *_children(self._process)]
        for one in everyone:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(_runs(one) for one in everyone):
            assert time.monotonic() < end, "the server did not die"
            time.sleep(0.01)

    async def start(self) -> None:
        """Starts it again as it was started before, and waits until it answers."""
        # The dead may still have their numbers, which a new server takes for running: nobody has waited for them.
        for lock in (self._data / "postmaster.pid", *self._data.glob(".s.PGSQL.*.lock")):
            lock.unlink()
        apart = ["sh", "-c", '"$0" "$@" >> restarts.log 2>&1 &', *self._command]
        subprocess.run(apart, cwd=self._data, user=self._user, group=self._group, check=True)
        end = time.monotonic() + 30
        while True:
            try:
                self.run("SELECT 1")
                break
            except psycopg.OperationalError:
                assert time.monotonic() < end, "the server did not start"
                await asyncio.sleep(0.05)
        self._read()

    def _read(self) -> None:
        self._process = int((self._data / "postmaster.pid").read_text().split()[0])
        place = Path(f"/proc/{self._process}")
        self._command = place.joinpath("cmdline").read_bytes().decode().rstrip("\0").split("\0")
        self._user, self._group = place.stat().st_uid, place.stat().st_gid


def _children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
