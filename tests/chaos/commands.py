"""`tellfirst` in forks of a process that has imported it: on a busy machine most of a short command is its imports.

`python -m tests.chaos.commands` forks for each line of its standard input, a JSON list of the file for what it says,
the file for what it notes, and its words; it answers with the process id.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tellfirst.cli import main
from tellfirst.domain.base import Frozen
from tests.chaos.place import Place, alive
from tests.faults.installation import ROOT, until


class Said(Frozen):
    """Is what a command said and noted."""

    out: str
    err: str


class Commands:
    """Runs commands in an installation."""

    def __init__(self, folder: Path, forks: "subprocess.Popen[str]") -> None:
        self._folder, self._forks, self._number = folder, forks, count()
        self.noted: set[int] = set()
        """Are the commands under way that have noted something."""

    async def run(self, *words: str) -> Said:
        """Runs a command to its end."""
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        number = next(self._number)
        out, err = (self._folder / f"command-{number}.{name}" for name in ("out", "err"))
        err.touch()
        self._forks.stdin.write(json.dumps([str(out), str(err), *words]) + "\n")
        self._forks.stdin.flush()
        process = int(self._forks.stdout.readline())
        await until(lambda: err.stat().st_size or not alive(process), 180)
        self.noted.add(process)
        await until(lambda: not alive(process), 180)
        self.noted.discard(process)
        return Said(out=out.read_text(), err=err.read_text())


@contextmanager
def commands(place: Place) -> Iterator[Commands]:
    """Yields what runs commands in a place."""
    forks = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.commands"],
        cwd=ROOT,
        env={**os.environ, **place.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Commands(place.folder, forks)
    finally:
        forks.communicate()


def serve() -> None:
    """Forks a command for each line that comes in, until none does."""
    import tellfirst.cli.app  # noqa: F401 - what takes its time

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's to wait for
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            out, err, *words = json.loads(line)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for stream, file in ((1, out), (2, err)):
                os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            sys.argv = ["tellfirst", *words]
            try:
                main()
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
