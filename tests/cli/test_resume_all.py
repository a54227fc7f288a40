"""Everything is stopped by one person, with the database alone, and goes on when two have signed."""

from datetime import UTC, datetime

import pytest

from tellfirst.store.chain import Chain
from tellfirst.store.controls import Controls
from tellfirst.store.engine import Database
from tests.cli.conftest import Approver, Done, Office, Shell, make_approver, register


def controls(office: Office) -> Controls:
    return office.world.controls


def another(office: Office, roles: str = '"Service lead"') -> Approver:
    ben = make_approver(office.world.folder, "ben")
    register(office.world.registry, office.eve, ben, roles=roles)
    return ben


async def resume(office: Office, person: Approver, *more: str) -> Done:
    return await office.run("resume", "--all", "--key", person.key, "--yes", *more)


async def test_one_stops_everything_and_two_let_it_go_on(office: Office) -> None:
    ben = another(office)
    stopped = await office.run("pause", "--all", "--as", "eve")
    assert (stopped.code, stopped.out) == (
        0,
        "everything is paused; `tellfirst resume --all`, signed by two people, lets it go on\n",
    )
    for command in ("pending", "stuck"):
        assert (await office.run(command)).err.startswith("everything is paused by eve since "), command
    first = await resume(office, office.eve)
    assert first.code == 0
    assert first.out.startswith("signed by eve, 1 of 2: one more person must sign `tellfirst resume --all` until ")
    assert "paused by eve at " in first.err
    assert controls(office).pause() is not None, "one signature changes nothing"
    second = await resume(office, ben)
    assert "1 of 2 approvals (eve)" in second.err
    assert second.code == 0
    assert second.out.startswith("everything goes on: the pause of ")
    assert second.out.endswith(" is over, signed by eve and ben\n")
    assert controls(office).on() == []
    assert (await resume(office, ben)).out == "nothing was paused as a whole\n"
    assert (await office.run("pending")).err == ""
    assert office.world.app is not None
    entries = Chain(office.world.app.database).entries()
    assert [e.actor for e in entries if e.kind == "decision" and e.about.startswith("resume/")] == ["eve", "ben"]
    assert (await office.run("verify")).code == 0


async def test_the_same_person_does_not_count_twice(office: Office) -> None:
    another(office)
    await office.run("pause", "--all")
    assert (await resume(office, office.eve)).code == 0
    again = await resume(office, office.eve)
    assert (again.code, again.out) == (1, "")
    assert again.err == "eve has signed already (1 of 2); another person runs `tellfirst resume --all`\n"
    assert controls(office).pause() is not None


async def test_a_pause_anew_asks_for_both_signatures_anew(office: Office) -> None:
    ben = another(office)
    await office.run("pause", "--all", "--as", "eve")
    assert (await resume(office, office.eve)).code == 0
    stopped = await office.run("pause", "--all", "--as", "zoe")
    assert stopped.err == "it was paused already, by eve: who has signed that it may go on signs again\n"
    only = await resume(office, ben, "--json")
    assert (only.document["paused"], only.document["approvals"], only.document["needed"]) == (True, 1, 2)
    assert "paused by zoe" in only.err
    done = await resume(office, office.eve, "--json")
    assert (done.document["paused"], done.document["status"]) == (False, "approved")
    assert controls(office).on() == []


async def test_whoever_has_not_the_role_resumes_nothing(office: Office) -> None:
    another(office, '"Library approver"')
    await office.run("pause", "--all")
    refused = await resume(office, office.eve)
    assert (refused.code, refused.out) == (1, "")
    assert "refused (not_an_approver)" in refused.err
    assert controls(office).pause() is not None


async def test_where_no_worker_runs_it_says_so_and_all_stays_paused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tellfirst.cli.resume_all.OPENED_WITHIN", 0.5)
    await office.run("pause", "--all")
    await office.world.rest()
    done = await resume(office, office.eve)
    assert (done.code, done.out) == (1, "")
    assert "nobody has opened it for signing; check that workers run" in done.err
    assert controls(office).pause() is not None
    await office.world.work()


def test_everything_is_stopped_without_temporal_and_without_a_worker(shell: Shell, database: Database) -> None:
    done = shell("pause", "--all", "--as", "eve")
    assert done.code == 0
    pause = Controls(database).pause()
    assert pause is not None
    assert (pause.name, pause.by) == ("pause-all", "eve")
    key = make_approver(shell.folder, "eve")
    refused = shell("resume", "--all", "--key", key.key, "--as", "eve", "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "the Temporal server cannot be reached" in refused.err
    assert Controls(database).pause() == pause


def test_everything_is_stopped_though_the_audit_log_cannot_be_written(shell: Shell, database: Database) -> None:
    (shell.folder / "audit.anchor").mkdir()
    done = shell("pause", "--all")
    assert done.code == 1
    assert done.out.startswith("everything is paused; ")
    assert "audit" in done.err
    assert Controls(database).pause() is not None


def test_nothing_is_signed_unasked(shell: Shell) -> None:
    shell("pause", "--all")
    done = shell("resume", "--all")
    assert (done.code, done.out) == (2, "")
    assert "there is no terminal to ask on" in done.err


def test_what_is_not_paused_needs_no_signature(shell: Shell) -> None:
    assert shell("resume", "--all", "--yes").out == "nothing was paused as a whole\n"
    assert shell("resume", "--all", "--yes", "--json").document == {"paused": False}


def test_a_switch_turned_off_in_the_database_is_told(shell: Shell, database: Database) -> None:
    shell("pause", "--all")
    assert shell("verify").code == 0
    with database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM controls")
    done = shell("verify")
    assert done.code == 1
    assert "audit log: 1 switch turned off in the database without an entry" in done.err


def test_a_switch_turned_on_in_the_database_is_told(shell: Shell, database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO controls (name, value, by, at) VALUES ('pause-all', 'x', 'eve', '2026-01-01 00:00:00')"
        )
    assert "audit log: 1 switch turned on in the database without an entry" in shell("verify").err


def test_a_pause_that_ended_without_two_signatures_is_told(shell: Shell, database: Database) -> None:
    shell("pause", "--all")
    assert Controls(database).turn_off("pause-all", by="mallory", at=datetime.now(UTC))
    assert "audit log: 1 switch ended without the signatures of two people" in shell("verify").err
