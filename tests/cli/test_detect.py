"""`detect` and `start`: what scripts rely on, and what nobody may start."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from tellfirst.detectors.sql import SqlSource
from tellfirst.detectors.sweep import sweep
from tellfirst.store.admissions import Admissions
from tellfirst.store.engine import Database
from tellfirst.store.tables import AdmissionRow, ConditionRow
from tests.cli.conftest import Office, Shell
from tests.detectors.test_olist import OLIST, loader
from tests.signing.make import ed25519

AT = datetime(2026, 3, 10, tzinfo=UTC)


def orders(folder: Path, *rows: tuple[str, str, int], now: datetime = AT) -> str:
    """Returns the URL of a shop with orders (order, customer, hours late at `now`)."""
    path = folder / "orders.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS orders (order_id TEXT, customer_id TEXT, status TEXT,"
            " placed_at TEXT, promised_at TEXT, delivered_at TEXT)"
        )
        for order, customer, late in rows:
            promised = now - timedelta(hours=late)
            values = (order, customer, "shipped", (promised - timedelta(days=5)).isoformat(), promised.isoformat())
            connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, NULL)", values)
    return f"sqlite:///{path}"


def registry(name: str) -> str:
    """Returns a registry of one person."""
    return (
        f'[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["Service lead"]\n'
        f'[[people.keys]]\nkey = "{ed25519().line}"\n'
    )


def rows_in(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(AdmissionRow)).all()) + len(session.exec(select(ConditionRow)).all())


def test_a_dry_run_prints_the_contract_and_changes_nothing(shell: Shell, database: Database) -> None:
    url = orders(shell.folder, ("o-1", "c-1", 30), ("o-2", "c-2", 200), ("o-3", "c-3", 20 * 24), ("o-4", "c-4", 1))
    words = ("detect", "late_delivery", "--source-url", url, "--at", "2026-03-10T00:00:00", "--dry-run")
    done = shell(*words, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.document == {
        "trigger": "late_delivery",
        "at": "2026-03-10T00:00:00Z",
        "subjects": 3,
        "new": 3,
        "too_late": 1,
        "conditions": [{"key": "2026-03-10T00-00", "episode": 1, "subjects": 2}],
    }
    assert list(done.document) == ["trigger", "at", "subjects", "new", "too_late", "conditions"]
    assert shell(*words, "--set", "threshold_hours=100", "--json").document["subjects"] == 2
    assert shell(*words).out.splitlines() == [
        "late_delivery at Tue 10 Mar 2026, 00:00 UTC: 3 subjects, 3 new, 1 of them too late to be told",
        "condition         episode  subjects",
        "2026-03-10T00-00        1         2",
        "1 outreach would be started",
    ]
    assert rows_in(database) == 0


@pytest.mark.parametrize(("hours", "late"), [(24, 78), (72, 73), (168, 69)])
def test_real_orders_are_as_late_as_they_are_known_to_be(shell: Shell, hours: int, late: int) -> None:
    if not OLIST.is_dir():
        pytest.skip("the Olist orders are not there")
    loader()(OLIST, shell.folder / "olist.db")
    done = shell(
        *("detect", "late_delivery", "--source-url", f"sqlite:///{shell.folder}/olist.db"),
        *("--at", "2018-03-15T00:00:00", "--set", f"threshold_hours={hours}", "--dry-run", "--json"),
    )
    assert (done.document["subjects"], done.document["new"]) == (late, late)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["parcel_lost", "--dry-run"], 1, "there is no playbook 'parcel_lost'; the known ones: late_delivery, payment"),
        (["late_delivery", "--dry-run", "--at", "soon"], 2, "'--at' is not an ISO 8601 instant"),
        (["late_delivery", "--dry-run", "--set", "threshold_hours"], 2, "--set: a parameter is given as NAME=VALUE"),
        (["late_delivery", "--dry-run", "--set", "x=1"], 2, "the rule has no parameter 'x'; its parameters: threshold"),
        (["late_delivery", "--dry-run", "--set", "threshold_hours=x"], 2, "must be a whole number"),
        (["service_disruption", "--dry-run"], 2, "is not detected by a sweep; start its conditions from the service"),
        (["late_delivery", "--dry-run", "--source-url", "sqlite:////none/orders.db"], 1, "orders.db"),
        (["late_delivery"], 1, "the Temporal server cannot be reached; check TEMPORAL_ADDRESS"),
        (["late_delivery", "--nonsense"], 2, "No such option"),
    ],
)
def test_what_cannot_be_detected_is_told_in_one_sentence(
    shell: Shell, database: Database, words: list[str], code: int, says: str
) -> None:
    url = orders(shell.folder, ("o-1", "c-1", 30))
    given = words if "--source-url" in words else [*words, "--source-url", url]
    done = shell("detect", *given)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert rows_in(database) == 0


def test_without_a_source_the_remedy_is_named(shell: Shell) -> None:
    done = shell("detect", "late_delivery", "--dry-run")
    assert (done.code, done.err) == (
        2,
        "there is no operational source; give --source-url or set TELLFIRST_SOURCE_URL\n",
    )


async def test_each_subject_is_admitted_once_and_each_condition_started(office: Office) -> None:
    world, now = office.world, datetime.now(UTC).replace(microsecond=0)
    for number in (1, 2, 3):
        world.customer(f"c-{number}")
    office.shell.environment["TELLFIRST_SOURCE_URL"] = orders(
        world.folder, ("o-1", "c-1", 30), ("o-2", "c-2", 10), now=now
    )
    first = await office.run("detect", "late_delivery", "--at", now.isoformat(), "--json")
    assert (first.code, first.err) == (0, "")
    assert (first.document["subjects"], first.document["new"]) == (1, 1)
    [condition] = first.document["conditions"]
    outreach = f"outreach/late_delivery/{condition['key']}/1"
    await world.planned(outreach)
    again = await office.run("detect", "late_delivery", "--at", now.isoformat(), "--json")
    assert (again.document["subjects"], again.document["new"], again.document["conditions"]) == (1, 0, [])
    tomorrow = now + timedelta(days=1)
    later = await office.run("detect", "late_delivery", "--at", tomorrow.isoformat())
    assert "2 subjects, 1 new, 0 of them too late" in later.out
    assert "1 outreach started; see `tellfirst pending`" in later.out
    await world.until(lambda: len(world.outreaches.pending()) == 2)
    for one in world.outreaches.pending():
        await world.env.client.get_workflow_handle(one.outreach).terminate("the test is over")


async def test_however_many_sweeps_there_are_in_one_second_nobody_is_forgotten(office: Office) -> None:
    world, now = office.world, datetime.now(UTC).replace(microsecond=0)
    for number in (1, 2, 3):
        world.customer(f"c-{number}")
        url = orders(world.folder, (f"o-{number}", f"c-{number}", 30), now=now)
        words = ("detect", "late_delivery", "--source-url", url, "--at", now.isoformat(), "--json")
        (condition,) = (await office.run(*words)).document["conditions"]
        outreach = f"outreach/late_delivery/{condition['key']}/1"

        def known() -> int:
            return sum(one.plan.recipients for one in world.outreaches.pending())

        await world.until(lambda wanted=number: known() == wanted)
    await world.env.client.get_workflow_handle(outreach).terminate("the test is over")


async def test_who_asks_for_a_sweep_asks_for_what_it_found_and_not_for_what_waited(office: Office) -> None:
    """An earlier sweep died before it started anything."""
    world, now = office.world, datetime.now(UTC).replace(microsecond=0)
    for number in (1, 2):
        world.customer(f"c-{number}")
    url = orders(world.folder, ("o-1", "c-1", 30), ("o-2", "c-2", 10), now=now)
    world.registry.write_text(registry("pat"))
    office.shell.environment["TELLFIRST_SOURCE_URL"] = url
    assert world.app is not None
    with SqlSource(url) as source:
        playbook = world.library["late_delivery"].playbook
        sweep(playbook, source, Admissions(world.app.database), at=now, given={}, dry_run=False)
    tomorrow = (now + timedelta(days=1)).isoformat()
    assert (await office.run("detect", "late_delivery", "--at", tomorrow, "--as", "pat")).code == 0
    await world.until(lambda: len(world.outreaches.pending()) == 2)
    assert sorted(one.proposal.proposer for one in world.outreaches.pending()) == ["", "pat"]
    (asked,) = (one.outreach for one in world.outreaches.pending() if one.proposal.proposer)
    assert "asked for by pat, who cannot approve it" in (await office.run("show", asked)).out
    for one in world.outreaches.pending():
        await world.env.client.get_workflow_handle(one.outreach).terminate("the test is over")


@pytest.mark.parametrize("command", [("detect", "late_delivery"), ("start", "-")])
def test_nobody_asks_for_it_whom_the_registry_does_not_know(shell: Shell, command: tuple[str, ...]) -> None:
    (shell.folder / "approvers.toml").write_text(registry("zoe"))
    done = shell(*command, "--as", "nobody", stdin=condition())
    assert (done.code, "nobody in the registry of approvers is 'nobody'" in done.err) == (1, True)


# -- start


def condition(**changed: object) -> str:
    plain = {
        "trigger": "late_delivery",
        "key": "k-1",
        "detected_at": "2026-03-10T00:00:00Z",
        "subjects": [{"key": "o-1", "customer": "c-1", "facts": {"order_id": "o-1", "promised_at": "2026-03-01"}}],
    }
    return json.dumps({**plain, **changed})


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (condition(key="ana@example.com"), 2, "the condition key looks like an e-mail address; use an opaque key"),
        (condition(key="+14155550123"), 2, "the condition key looks like a phone number; use an opaque key"),
        (condition(key="+1 415 555 0123"), 2, "the condition is malformed at key"),
        (condition(trigger="parcel_lost"), 1, "there is no playbook 'parcel_lost'; the known ones: late_delivery"),
        (condition(detected_at="2026-03-10T00:00:00"), 2, "the condition is malformed at detected_at"),
        (condition(subjects=[]), 2, "give either subjects or an audience query, and not both"),
        (condition(subjects=[{"key": "o-1"}]), 2, "the condition is malformed at subjects.0.customer"),
        (condition(**{"ana@example.com": 1}), 2, "the condition is malformed: extra inputs are not permitted"),
        ("{", 2, "the condition is malformed"),
        ("\ud800", 2, "cannot be read"),
        (condition(), 1, "the Temporal server cannot be reached"),
    ],
)
def test_what_cannot_be_started_is_told_without_its_values(shell: Shell, text: str, code: int, says: str) -> None:
    done = shell("start", shell.file("condition.json", text.encode(errors="surrogatepass")))
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert "example.com" not in done.err
    assert "555" not in done.err
    assert done.err.count("\n") == 1


def test_a_condition_file_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("start", "none.json")
    assert (done.code, done.err) == (2, "none.json: cannot be read (FileNotFoundError)\n")


async def test_a_condition_is_started_once_and_says_so(office: Office) -> None:
    text = condition(key=office.world.key, detected_at=datetime.now(UTC).isoformat())
    office.world.customer("c-1")
    outreach = f"outreach/late_delivery/{office.world.key}/1"
    with office.world.env.with_time_skipping_disabled():
        done = await office.run("start", "-", stdin=text)
    assert done.code == 0
    assert done.out.splitlines()[0] == outreach
    assert f"started; `tellfirst show {outreach}`, or in the Temporal UI: WorkflowId='{outreach}'" in done.out
    await office.world.planned(outreach)
    running = await office.run("start", "-", "--json", stdin=text)
    assert running.document == {"outreach": outreach, "state": "running already"}
    await office.run("abort", outreach, "--reason", "the test is over")
    await office.world.env.client.get_workflow_handle(outreach).result()
    ended = await office.run("start", "-", stdin=text)
    assert ended.code == 0
    assert "this condition's outreach has ended; a recurrence is a new episode" in ended.out
