"""Deployments in the middle of outreaches: workers of the next release, whose workflows take another way, one by one.

The next release is a copy of the workflows with changes in it, each behind a patch, as docs/operations.md asks for.
Old and new workers are side by side until the last one is replaced.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tellfirst.client import OutreachClient
from tests.chaos.place import Place, Told
from tests.chaos.replay import STRANGE
from tests.chaos.report import Tallies
from tests.faults.installation import ROOT, until
from tests.world import HISTORIES

OUTREACHES, HALF = 8, 4
"""Planned at the beginning of each deployment, and how many of them are approved before it."""
PATCHED = "core_patch"
"""How the SDK names the event by which a life remembers which way it took."""
BEGINS = "        running: dict[asyncio.Task[PageReport], int] = {}\n"
ENDS = "        await self.reconcile(revision, sending)\n        revision.sending = None\n"
CHANGES = (("rest-first", BEGINS), ("rest-last", ENDS))
"""Where a release sleeps a moment that the one before did not: by the name of its patch, in workflows/sending.py."""


async def rolled(place: Place, seen: Tallies, dice: Random) -> None:
    """Deploys two releases after each other while outreaches leave, and looks at what was sent and what replays."""
    told: list[Told] = []
    with tempfile.TemporaryDirectory() as folder:
        trees = [release(Path(folder) / f"release-{n}", CHANGES[:n]) for n in (1, 2)]
        for tree in trees:
            fresh = await asyncio.gather(*(place.tell(dice.randint(16, 20), approve=False) for _ in range(OUTREACHES)))
            told += fresh
            for one in fresh:
                await place.planned(one)
            before = place.texts().total()
            approving = asyncio.create_task(_one_by_one(place, fresh[:HALF]))
            try:
                await until(lambda before=before: place.texts().total() > before, 60)
                rolling = asyncio.create_task(place.roll(**tree))
                await approving
                approving = asyncio.create_task(_one_by_one(place, fresh[HALF:-1]))
                seen.fault("deployment of a worker", await rolling)
                await approving
                await place.approve(place.handle(fresh[-1]), within=120)  # on its way when no old worker is left
            finally:
                approving.cancel()
        seen.saw(await place.outcome(told))
        for one in told:
            # They would wait for a day to tell more, and the first release cannot go on where the second was.
            await OutreachClient(place.client).tell(one.outreach, "abort", by="ana", note="over")
            await place.result(one)
        await _replayed(place, seen, told, trees, Path(folder))
    await place.roll()


async def unguarded(place: Place, seen: Tallies, dice: Random) -> None:
    """Shows once that the same change without a patch is met by lives that do not fit it."""
    name = "workflows changed without a patch"
    if name in seen.controls:
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = release(Path(folder) / "release", CHANGES[:1], guarded=False)
        strange = await asyncio.to_thread(_strange, tree, HISTORIES)
        seen.controls[name] = bool(strange)


def release(tree: Path, changes: Sequence[tuple[str, str]], *, guarded: bool = True) -> dict[str, str]:
    """Writes the workflows with some changes into a folder; returns the environment in which they are imported."""
    shutil.copytree(ROOT / "workflows", tree / "workflows", ignore=shutil.ignore_patterns("__pycache__"))
    file = tree / "workflows" / "sending.py"
    text = file.read_text()
    for name, place in changes:
        assert text.count(place) == 1, f"{place!r} is to stand in workflows/sending.py once"
        condition = f"workflow.patched({name!r})" if guarded else "True"
        text = text.replace(place, f"        if {condition}:\n            await workflow.sleep(0.1)\n{place}")
    file.write_text(text)
    # Else the folder that a process starts in would come before all others.
    return {"PYTHONPATH": f"{tree}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"}


async def _replayed(
    place: Place, seen: Tallies, told: Sequence[Told], trees: Sequence[dict[str, str]], folder: Path
) -> None:
    """Replays every life with every release that is not older than it, and the committed ones with all."""
    lives = {patches: folder / f"lives-{patches}" for patches in range(len(CHANGES) + 1)}
    for kept in lives.values():
        kept.mkdir()
    for number, one in enumerate(told):
        text = (await place.handle(one).fetch_history()).to_json()
        (lives[text.count(PATCHED)] / f"{number}.json").write_text(text)
    if not list(lives[1].iterdir()) or not list(lives[2].iterdir()):
        seen.wrong("deploy: no outreach took the way of a new release")
    for newest, environment in enumerate(({}, *trees)):
        mine = [lives[patches] for patches in range(newest + 1)]
        for strange in await asyncio.to_thread(_strange, environment, HISTORIES, *mine):
            seen.wrong(f"deploy: {strange} does not replay with release {newest}")


async def _one_by_one(place: Place, told: Sequence[Told]) -> None:
    for one in told:
        await place.approve(place.handle(one), within=120)


def _strange(environment: dict[str, str], *folders: Path) -> list[str]:
    """Returns which of the recorded lives do not replay with the workflows that an environment names."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.replay", *map(str, folders)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.removeprefix(STRANGE) for line in done.stdout.splitlines() if line.startswith(STRANGE)]


ROUNDS = (rolled, rolled, unguarded)
