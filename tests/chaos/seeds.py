"""Seeded bugs: every protection is switched off in a copy of the source, one by one, and the suite has to go red.

`python -m tests.chaos.seeds [--only NAME]… [--json] [--jobs N]`; the bugs are data, in seeds.toml beside this file.
"""

import argparse
import asyncio
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from tellfirst.domain.base import Frozen, Outside
from tests.faults.installation import ROOT

LIST = Path(__file__).with_name("seeds.toml")
FORKS = Path(__file__).with_name("forks.py")
ASSERTED = ("assert ", "AssertionError", "Failed: ", "hypothesis.errors.", "ExceptionGroup: ")
"""How the message of a failure begins in which a test saw what must not be; all else is a bug that does not run."""
STUCK = "Failed: Timeout"
Verdict = Literal["caught", "missed", "broken"]
Run = Callable[[Path, Iterable[str]], Awaitable[str | None]]
"""Runs tests in a tree and returns what the first that failed said; None when all passed."""


class Seed(Outside):
    """Is one bug: in `file` stands `old`, once; with `new` in its place `test` (a node id of pytest) has to fail."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    test: str


class Found(Frozen):
    """Is what became of one bug; `broken` says that its test failed without asserting anything."""

    seed: str
    promise: str
    verdict: Verdict
    seconds: float
    said: str = ""


class SeedError(Exception):
    """Says which bug cannot be seeded, or which test is red without any."""


def seeds(names: Collection[str] = ()) -> tuple[Seed, ...]:
    """Returns the bugs of those names, or all; raises SeedError for a name that none has."""
    known = tuple(Seed.model_validate(one) for one in tomllib.loads(LIST.read_text(encoding="utf-8"))["seeds"])
    if unknown := sorted(set(names) - {seed.name for seed in known}):
        raise SeedError(f"no seeded bug is called {', '.join(unknown)}")
    return tuple(seed for seed in known if not names or seed.name in names)


def seeded(seed: Seed, tree: Path) -> str:
    """Returns the text of the seed's file with its bug in; raises SeedError unless its old text stands there once."""
    text = (tree / seed.file).read_text(encoding="utf-8")
    if (times := text.count(seed.old)) != 1:
        raise SeedError(f"{seed.name}: what it replaces stands {times} times in {seed.file}; mend it in {LIST.name}")
    return text.replace(seed.old, seed.new)


async def found(
    chosen: Sequence[Seed], *, jobs: int = 2, tell: Callable[[Found], object] = lambda _: None
) -> list[Found]:
    """Seeds each bug into a copy of its own, `jobs` at a time, and returns what its test said; `tell` hears each.

    Raises SeedError where a test is red in the copy without a bug.
    """
    waiting: deque[Seed | None] = deque([None, *chosen])
    rows: dict[str, Found] = {}
    red: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound")
        await asyncio.to_thread(_copy, sound)
        for seed in chosen:
            seeded(seed, sound)

        async def work() -> None:
            async with _forks() as run:
                while waiting:
                    if (seed := waiting.popleft()) is None:
                        tests = dict.fromkeys(one.test for one in chosen)
                        if (said := await run(sound, tests)) is not None:
                            red.append(said)
                            waiting.clear()
                    else:
                        rows[seed.name] = await _try(seed, sound, run)
                        tell(rows[seed.name])

        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(work())
    if red:
        raise SeedError(f"red without any bug: {red[0]}")
    return [rows[seed.name] for seed in chosen]


async def caught(names: Collection[str] = (), *, jobs: int = 2) -> dict[str, bool]:
    """Says of each bug whether the suite went red for it."""
    return {one.seed: one.verdict == "caught" for one in await found(seeds(names), jobs=jobs)}


def table(rows: Iterable[Found]) -> str:
    """Returns an aligned table of what was found."""
    lines = [("seed", "promise", "caught", "seconds")]
    lines += [(one.seed, one.promise, one.verdict, f"{one.seconds:.1f}") for one in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


async def _try(seed: Seed, sound: Path, run: Run) -> Found:
    """Says what becomes of a seed's test with its bug in the way."""
    began, tree = time.monotonic(), sound.with_name(seed.name)
    # Links: only the one file is another one.
    await asyncio.to_thread(shutil.copytree, sound, tree, copy_function=os.link, symlinks=True)
    text = seeded(seed, tree)
    (tree / seed.file).unlink()
    (tree / seed.file).write_text(text, encoding="utf-8")
    said = await run(tree, [seed.test])
    await asyncio.to_thread(shutil.rmtree, tree)
    asserted = said is not None and said.startswith(ASSERTED) and not said.startswith(STUCK)
    verdict: Verdict = "caught" if asserted else "missed" if said is None else "broken"
    seconds = round(time.monotonic() - began, 1)
    return Found(seed=seed.name, promise=seed.promise, verdict=verdict, seconds=seconds, said=said or "")


def _copy(tree: Path) -> None:
    """Copies all but what git ignores, and lets it run in the environment that this runs in."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(files, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # one that was just deleted is listed still
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    (tree / ".venv").symlink_to(sys.prefix)
    for part in ("tellfirst", "activities", "workflows", "workers"):
        compileall.compile_dir(tree / part, quiet=2)  # once, for all of its copies


@asynccontextmanager
async def _forks() -> AsyncIterator[Run]:
    """Yields what runs tests, one run after the other."""
    forks = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(FORKS)),
        env={**os.environ, "PYTHONPATH": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert forks.stdin is not None
    assert forks.stdout is not None
    asked, answers = forks.stdin, forks.stdout

    async def run(tree: Path, tests: Iterable[str]) -> str | None:
        report, said = tree / "report.xml", tree / "said"
        options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
        asked.write(json.dumps([str(tree), [*options, f"--junitxml={report}", *tests]]).encode() + b"\n")
        await asked.drain()
        if (code := int(await answers.readline())) == 0:
            return None
        failure = next(ElementTree.parse(report).iter("failure"), None) if report.exists() else None
        if code != 1 or failure is None:
            return f"no test ran: {said.read_text(errors='replace')[-2000:]}"
        return failure.get("message", "")[:500]

    try:
        yield run
    finally:
        asked.close()
        await forks.wait()


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.seeds", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()

    def tell(one: Found) -> None:
        sys.stderr.write(f"{one.seed}: {one.verdict} ({one.seconds} s) {one.said if one.verdict == 'broken' else ''}\n")

    try:
        rows = asyncio.run(found(seeds(given.only), jobs=given.jobs, tell=tell))
    except SeedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    count = sum(one.verdict == "caught" for one in rows)
    if given.json:
        sys.stdout.write(json.dumps([one.model_dump() for one in rows], indent=2) + "\n")
    else:
        sys.stdout.write(f"{table(rows)}\nseeded_bugs_caught={count}/{len(rows)}\n")
    return 0 if count == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
