"""The report: reasons first, both arms and their difference, and never a figure that its grade withholds."""

import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest

from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.figures import ArmFigures
from tellfirst.measurement.outcome import judge
from tellfirst.store.engine import Database
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.outreaches import Outreaches
from tests.cli.conftest import Shell
from tests.contract.publish import FOLDER
from tests.store.make import NOON as START
from tests.store.make import customers
from tests.store.test_windows import END, Office

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(
    database: Database,
    key: str,
    treated: tuple[int, int],
    control: tuple[int, int],
    *,
    arrived: bool = True,
    holdout: float = 0.5,
    at: datetime = NOON,
) -> str:
    name = f"outreach/late_delivery/{key}/1"
    subjects = (Subject(key="o-1", customer="c-1"),)
    condition = Condition(trigger="late_delivery", key=key, detected_at=NOON, subjects=subjects)
    Outreaches(database).claim(name, condition, run="r", now=NOON)
    outcome = judge(
        treated, control, holdout, window_closed=True, watermark_passed=arrived, reason_code="where_is_my_order"
    )
    figures = [
        ArmFigures(arm=arm.arm, share=holdout, clusters=arm.clusters, contacted=arm.contacted) for arm in outcome.arms
    ]
    Outcomes(database).record(name, outcome, at=at, figures=figures, t0=(NOON, NOON))
    return name


def test_without_an_outcome_the_report_says_so(shell: Shell) -> None:
    assert shell("report").out == "no outcome is recorded yet: a window has to close first\n"
    assert shell("report", "--json").document == {"reasons": [], "outreaches": []}


def test_a_report_of_a_part_says_that_the_part_is_empty(shell: Shell, database: Database) -> None:
    record(database, "k-1", (500, 50), (500, 100))
    for words in (["--reason", "none"], ["--since", "2099-01-01"]):
        done = shell("report", *words)
        assert (done.code, done.err) == (0, "")
        assert done.out == (
            "no recorded outcome is of that reason and time; leave --reason and --since away to see all\n"
        )


def test_both_arms_and_their_difference_are_told(shell: Shell, database: Database) -> None:
    name = record(database, "k-1", (500, 50), (500, 100))
    done = shell("report", "--outreaches")
    assert (done.code, done.err) == (0, "")
    whole, single = done.out.splitlines()[1], next(line for line in done.out.splitlines() if line.startswith(name))
    assert whole.startswith("where_is_my_order  A               1  50 of 500 (10.0%)  100 of 500 (20.0%)  -10.0 pp *")
    assert "-14.4 pp to -5.6 pp  50 (28 to 72)" in whole
    assert single.startswith(f"{name}  where_is_my_order  50 of 500 (10.0%)  100 of 500 (20.0%)")
    assert "-10.0 pp  -14.4 pp to -5.6 pp  A      Sun 01 Mar 2026, 12:00 UTC" in single
    assert "Of the accounts chosen to be told first, 50 of 500 (10.0 %) contacted support" in done.out
    document = shell("report", "--json").document["outreaches"][0]
    assert document["arms"] == {
        "treated": {"n": 500, "contacted": 50, "rate": 0.1},
        "control": {"n": 500, "contacted": 100, "rate": 0.2},
    }
    assert (document["outreach"], document["grade"], round(document["difference"], 6)) == (name, "A", -0.1)
    assert document["ci_low"] < document["difference"] < document["ci_high"]


def test_a_figure_that_is_withheld_is_not_printed(shell: Shell, database: Database) -> None:
    broken = record(database, "x", (900, 90), (100, 20))  # the split is not the one that was drawn
    unseen = record(database, "e", (500, 0), (500, 0), arrived=False)
    alone = record(database, "n", (500, 40), (0, 0), holdout=0.0)
    done = shell("report", "--outreaches")
    lines = {line.split()[0]: line for line in done.out.splitlines() if "accounts" in line and line[:8] == "outreach"}
    assert "900 accounts  100 accounts" in " ".join(lines[broken].split()).replace("accounts 100", "accounts  100")
    assert " X " in lines[broken]
    assert " E " in lines[unseen]
    assert " E " in lines[alone]
    for line in lines.values():
        assert " pp" not in line
    assert "deflect" not in shell("report").out.lower()
    document = shell("report", "--json").document
    assert "deflect" not in str(document).lower()
    assert all(one["difference"] is None for one in document["outreaches"])
    assert {one["grade"] for reason in document["reasons"] for one in reason["pools"]} == {"X", "E"}
    for one in document["reasons"][0]["pools"]:
        assert one["difference"] is one["relative"] is one["avoided"] is None


def test_the_report_is_narrowed_by_reason_and_time(shell: Shell, database: Database) -> None:
    record(database, "old", (500, 50), (500, 100))
    new = record(database, "new", (500, 50), (500, 100), at=NOON + timedelta(days=1))
    for since in ("2026-03-02", "2026-03-02T01:00:00+01:00"):
        assert [d["outreach"] for d in shell("report", "--since", since, "--json").document["outreaches"]] == [new]
    assert shell("report", "--since", "lately").code == 2
    assert shell("report", "--reason", "payment_problem", "--json").document["reasons"] == []
    assert len(shell("report", "--reason", "where_is_my_order", "--json").document["outreaches"]) == 2


def test_what_is_printed_for_machines_keeps_its_schema(shell: Shell, database: Database) -> None:
    schema = json.loads((FOLDER / "ReportDocument.json").read_text())
    for key, treated, control in (("a", (500, 50), (500, 100)), ("b", (20, 2), (3, 1)), ("x", (900, 90), (100, 20))):
        record(database, key, treated, control)
    document = shell("report", "--json").document
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"reasons": [{"grade": "F"}]}, schema)


def test_open_windows_are_told_apart_once_their_contacts_are_here(shell: Shell, database: Database) -> None:
    office = Office(database)
    customers(database, ["c-1", "c-2"])
    office.outreach(("c-1", "treated"), ("c-2", "control"))
    office.came("c-1", START)
    assert shell("report").out.startswith("no outcome is recorded yet")
    office.contacts.save([], source="desk", through=END, now=END)
    out = shell("report").out
    assert "early reading, windows still open:\n" in out
    assert "Too early to say anything: 1 account contacted support about where_is_my_order so far" in out
    [reason] = shell("report", "--json").document["reasons"]
    assert (reason["pools"], len(reason["early"])) == ([], 1)
    assert shell("report", "--reason", "payment_problem", "--json").document["reasons"] == []
