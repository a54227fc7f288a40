"""`backup`, `recover` and `restart`: what is said and refused; what they do is tried in tests/faults/test_drills.py."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tellfirst.cli.recover import GapLog
from tellfirst.cli.stuck import without_workflow
from tellfirst.contract import Stage
from tellfirst.domain.message import Rendered
from tellfirst.signing.audience import content_digest
from tellfirst.store.audit import Audit
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tests.cli.conftest import Office, Shell
from tests.store.make import OUTREACH, claim


def test_a_copy_is_whole_and_known(shell: Shell, database: Database) -> None:
    claim(database)
    file = shell.folder / "copy.db"
    done = shell("backup", file, "--as", "eve")
    assert done.code == 0
    assert done.out.startswith(f"copied to {file}; after restoring it: tellfirst recover --since 2")
    with sqlite3.connect(file) as copy:
        assert copy.execute("SELECT id FROM outreaches").fetchall() == [(OUTREACH,)]
        assert copy.execute("SELECT count(*) FROM audit").fetchall() == [(0,)], "the anchor knows more than any copy"
    copy.close()
    assert [(entry.kind, entry.actor) for entry in Chain(database).entries()] == [("backup", "eve")]
    assert file.stat().st_mode & 0o077 == 0
    assert shell("backup", file).code == 2


def test_a_copy_that_cannot_be_written_is_told(shell: Shell, database: Database) -> None:
    done = shell("backup", shell.folder / "nowhere" / "copy.db")
    assert (done.code, done.out) == (1, "")
    assert "the database cannot be copied" in done.err
    assert Chain(database).entries() == []


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01"])
def test_an_instant_that_cannot_be_is_refused(shell: Shell, database: Database, since: str) -> None:
    assert shell("recover", "--since", since).code == 2
    assert shell("pending").err == "", "nothing was paused"


def test_everything_is_paused_and_it_is_written_down(shell: Shell, database: Database) -> None:
    done = shell("recover", "--since", "2026-03-01T12:00:00Z", "--as", "eve", "--dry-run")
    assert "nothing was changed" in done.out
    assert Chain(database).entries() == []
    done = shell("recover", "--since", "2026-03-01T12:00:00Z", "--as", "eve")
    assert "0 outreaches may have told somebody since Sun 01 Mar 2026, 12:00 UTC" in done.out
    assert "tellfirst restart --all --replace" in done.err
    kinds = [(entry.kind, entry.actor, entry.facts.get("since")) for entry in Chain(database).entries()]
    assert kinds == [("switch_on", "eve", None), ("recovery", "eve", "2026-03-01T12:00:00+00:00")]
    assert shell("verify").code == 0


def test_one_or_all_is_restarted(shell: Shell, database: Database) -> None:
    assert shell("restart").code == 2
    assert shell("restart", "outreach/x/y/1", "--all").code == 2


def log(folder: Path, *lines: dict[str, str]) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def text(body: str) -> str:
    return content_digest(Rendered(body=body))


def test_a_log_tells_what_left_what_did_not_and_what_may_have(shell: Shell, database: Database) -> None:
    lines = (
        {"sid": "SM1", "to": "+15550000001", "body": "one", "status_callback": "https://x.example.com/?d=s-1"},
        {"sid": "SM2", "to": "+15550000002", "body": "two"},
        {"sid": "SM3", "to": "+15550000003", "body": "an update"},
    )
    known = GapLog(Audit(database), log(shell.folder, *lines))
    assert known.sid("s-1", "+15550000009", "") == "SM1", "by its callback, whatever its number is now"
    assert known.sid("s-2", "+15550000002", text("another")) == ""
    assert known.sid("s-2", "+15550000002", text("two")) == "SM2"
    assert known.sid("s-2b", "+15550000002", text("two")) == "", "one message is one send's"
    assert known.sid("s-3", "+15550000003", "") is None
    assert known.sid("s-4", "+15550000004", "") == ""
    assert known.left_over() == ["+15550000003"]
    assert (known.covers("sms"), known.covers("email")) == (True, False)


async def test_what_the_database_does_not_know_yet_is_not_ended_by_a_restart(office: Office) -> None:
    world = office.world
    world.customer("c-1")
    await world.rest()
    handle = await world.start(world.late("o-1"))
    done = await office.run("restart", handle.id, "--replace")
    assert (done.code, "was never planned" in done.err) == (1, True)
    await world.work()
    await world.planned(handle.id)


async def test_what_has_no_workflow_is_stuck_and_goes_on(office: Office) -> None:
    world = office.world
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    assert world.app is not None
    records, later = world.outreaches.all(open_only=True), datetime.now(UTC) + timedelta(hours=1)
    assert without_workflow(records, {handle.id}, later) == []
    (found,) = without_workflow(records, set(), later)
    assert (found.outreach, found.problem, found.what_to_do) == (handle.id, "no workflow", "tellfirst restart")
    await handle.terminate("lost")
    done = await office.run("restart", handle.id, "--as", "eve")
    assert (done.code, done.out) == (0, f"outreach\n{handle.id}\n1 outreach started anew\n")
    done = await office.run("restart", handle.id, "--replace", "--json")
    assert done.document == {"restarted": [handle.id], "left_alone": []}
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    done = await office.run("restart", "outreach/x/y/1")
    assert (done.code, done.out) == (1, "")
    assert "it has ended, or was never planned" in done.err
