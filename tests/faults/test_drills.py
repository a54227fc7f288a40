"""The drills of docs/operations.md, on real processes: databases are lost or restored while outreaches are open."""

import asyncio
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.installation import ROOT, TEMPORAL, Installation, until
from tests.figures import Figure

PAGE = 10
CLEAN = {"lost": 0, "duplicate": 0, "unauthorised": 0, "after_optout": 0, "audit_ok": True}


class Drill(Installation):
    """Is an installation whose commands are run as its people run them."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, delay_ms=30, in_flight=4, **more)
        self.environment["TELLFIRST_PAGE_SIZE"] = str(PAGE)

    async def run(self, *words: str, code: int = 0) -> str:
        """Runs a command and returns what it prints."""
        ran = await asyncio.create_subprocess_exec(
            str(TEMPORAL.with_name("tellfirst")),
            *words,
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await ran.communicate()
        assert ran.returncode == code, f"{words}: {err.decode()}{out.decode()}"
        return out.decode() + err.decode()

    async def verified(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Returns what `verify` finds with the provider's log."""
        said = await self.run("verify", "--json", "--provider-log", str(self.provider.log), *words, code=code)
        found: dict[str, Any] = json.loads(said)
        return found

    async def without_temporal(self) -> None:
        """Loses Temporal's database, and starts a server on an empty one."""
        self.kill(self._server)
        for path in self.folder.glob("temporal.db*"):
            path.unlink()
        await self.start_temporal()

    def restore(self, copy: Path) -> None:
        """Puts a copy of the database into its place; nothing else runs on it."""
        self.database.close()
        for path in self.folder.glob("tellfirst.db*"):
            path.unlink()
        shutil.copy(copy, self.folder / "tellfirst.db")

    def texts(self) -> Counter[str]:
        """Counts the accepted texts by number."""
        return Counter(str(message["to"]) for message in self.provider.accepted())

    def left(self, outreach: str) -> int:
        """Counts what of an outreach has been sent, or may have been."""
        tally = self.sends.tally(outreach)
        return tally.accepted + tally.unknown


async def test_outreaches_go_on_when_temporal_is_lost(tmp_path: Path, figure: Figure) -> None:
    async with Drill(tmp_path) as place:
        place.people(160)
        worker = place.worker()
        waiting = await place.start(20, "waiting", first=100)
        told = await place.start(20, "told", first=120)
        await place.approve(told)
        await until(lambda: place.sends.tally(told.id).accepted == 20, 60)
        leaving = await place.start(100, "leaving")
        await place.approve(leaving)
        await until(lambda: place.sends.tally(leaving.id).accepted >= 20, 60)
        place.kill(worker)
        await place.without_temporal()
        before = place.sends.tally(leaving.id)
        assert before.planned
        # Nothing goes on by itself, and who starts a condition again starts nothing.
        place.worker()
        said = await place.run("restart", "--all", "--as", "eve")
        assert "3 outreaches started anew" in said
        await until(lambda: place.left(leaving.id) == 100, 90)
        await place.approve(waiting)
        await until(lambda: place.left(waiting.id) == 20, 60)
        assert max(place.texts().values()) == 1
        tally = place.sends.tally(leaving.id)
        found = await place.verified()
        assert found.items() >= CLEAN.items(), found
        assert tally.unknown <= 4
        figure(
            f"Temporal lost with 3 outreaches open: {before.accepted} of 100 had left, {tally.accepted} accepted in "
            f"the end, {tally.unknown} held, 0 twice"
        )


async def test_a_backup_is_restored_while_outreaches_are_open(tmp_path: Path, figure: Figure) -> None:
    """The database goes back to a copy made in the middle of sending; the provider's look-up tells the rest."""
    async with Drill(tmp_path) as place:
        place.people(120)
        place.environment["TELLFIRST_SMS_RATE"] = "12"  # there is time for a backup
        worker = place.worker()
        leaving = await place.start(100, "leaving")
        await place.approve(leaving)
        await until(lambda: place.sends.tally(leaving.id).accepted >= 20, 60)
        since = json.loads(await place.run("backup", str(tmp_path / "copy.db"), "--json"))["since"]
        await until(lambda: place.sends.tally(leaving.id).accepted >= 60, 60)
        place.kill(worker)
        left = len(place.texts())
        place.restore(tmp_path / "copy.db")
        forgotten = left - place.sends.tally(leaving.id).accepted
        assert forgotten > 20
        # A worker sees by the anchor that it would send from an older copy, and ends.
        assert await asyncio.to_thread(place.worker().wait) == 1
        assert "older than the anchor" in place.logs.read_text()
        assert len(place.texts()) == left
        await place.run("recover", "--since", since, "--as", "eve")
        await place.run("restart", "--all", "--replace")
        place.worker()
        await until(lambda: place.sends.tally(leaving.id).in_doubt == 0, 120)
        for name in ("ana", "ben"):
            await place.resume_all(name)
        tally = place.sends.tally(leaving.id)
        figure(
            f"restored to a copy, {forgotten} of 100 forgotten: {tally.accepted} accepted by the provider's word, "
            f"{tally.unknown} held for a person, {max(place.texts().values()) - 1} twice"
        )
        assert max(place.texts().values()) == 1
        assert (tally.accepted, tally.unknown) == (len(place.texts()), 100 - len(place.texts()))
        found = await place.verified(code=1)
        assert found.items() >= {**CLEAN, "audit_ok": False}.items(), found
        assert all("anchored" in sentence for sentence in found["promises_broken"]), found
