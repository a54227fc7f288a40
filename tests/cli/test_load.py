"""Team load as people and machines read it."""

from datetime import UTC, datetime, timedelta

from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.engine import Database
from tellfirst.store.escalations import EscalationRecord, Escalations
from tellfirst.store.tables import MatterRow
from tests.cli.conftest import Shell

EVENING = datetime(2026, 3, 2, 19, tzinfo=UTC)


def decide(database: Database) -> None:
    with database.write() as session:
        session.add(MatterRow(about="permit/p", kind="permit", proposal={}, opened_at=EVENING - timedelta(hours=30)))
    record = DecisionRecord(
        about="permit/p", decision="approve", approver="eve", fingerprint="f", accepted=True, code="", envelope={},
        received_at=EVENING,
    )  # fmt: skip
    Decisions(database).accept(record, status="approved", good=list)
    escalation = EscalationRecord(
        id="e", about="o", kind="raised", text="t", level=0, levels=1, waiting_on="Lead", opened_at=EVENING
    )
    Escalations(database).keep(escalation, at=EVENING)


def test_without_anything_done_that_is_said(shell: Shell) -> None:
    assert shell("load").out == "nobody has decided, asked for or taken anything yet\n"
    assert shell("load", "--json").document["people"] == []


def test_the_table_names_people_and_what_waited_for_them(shell: Shell, database: Database) -> None:
    decide(database)
    done = shell("load")
    assert (done.code, done.err) == (0, "")
    header, eve, everyone, note = done.out.splitlines()
    assert header.split()[:3] == ["who", "decisions", "approvals"]
    assert eve.split() == [
        "eve", "1", "1", "1", "day", "6", "h", "1", "day", "6", "h", "1", "0", "0", "0", "-", "-"
    ]  # fmt: skip
    assert everyone.startswith("everyone")
    assert note.endswith("after hours: in UTC; 1 escalation with nobody on it")


def test_it_is_narrowed_by_time_and_read_where_people_work(shell: Shell, database: Database) -> None:
    decide(database)
    document = shell("load", "--zone", "America/New_York", "--json").document
    assert (document["zone"], document["everyone"]["after_hours"]) == ("America/New_York", 0)
    assert document["everyone"]["waited"] == {"count": 1, "median": 108_000.0, "longest": 108_000.0}
    assert shell("load", "--since", "2026-03-03").out == "nobody has decided, asked for or taken anything since then\n"
    assert shell("load", "--zone", "Mars").code == 2
    assert shell("load", "--since", "lately").code == 2
