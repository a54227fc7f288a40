"""What people did, read from where it was decided, asked for and taken."""

from datetime import datetime

from tellfirst.domain.load import Acknowledged
from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.engine import Database
from tellfirst.store.escalations import EscalationRecord, Escalations
from tellfirst.store.load import Load
from tellfirst.store.tables import MatterRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tests.store.make import DAY, HOUR, NOON, OUTREACH, claim, freeze


def record(about: str, by: str, at: datetime, *, revision: int = 0, choice: str = "approve") -> DecisionRecord:
    return DecisionRecord(
        about=about, revision=revision, decision=choice, approver=by, fingerprint="f", accepted=True, code="",
        envelope={"n": about}, received_at=at,
    )  # fmt: skip


def matter(database: Database, about: str, kind: str, at: datetime) -> None:
    with database.write() as session:
        session.add(MatterRow(about=about, kind=kind, proposal={}, opened_at=at))


def test_decisions_have_waited_since_what_they_are_about_was_there(database: Database) -> None:
    claim(database)
    freeze(database)
    matter(database, "permit/p-1", "permit", NOON)
    decisions = Decisions(database)
    decisions.accept(record(OUTREACH, "eve", NOON + HOUR, revision=1), status="approved", good=list)
    decisions.accept(record("permit/p-1", "tom", NOON + 2 * HOUR), status="approved", good=list)
    decisions.refuse(record(OUTREACH, "mallory", NOON, revision=1).model_copy(update={"accepted": False}))
    found = sorted(Load(database).duties().decisions, key=lambda one: one.person)
    assert [(one.person, one.at - one.since if one.since else None, one.exception) for one in found] == [
        ("eve", HOUR, False), ("tom", 2 * HOUR, False)
    ]  # fmt: skip
    assert [one.person for one in Load(database).duties(since=NOON + 2 * HOUR).decisions] == ["tom"]


def test_exceptions_are_told_by_who_asked_and_who_decided(database: Database) -> None:
    with database.write() as session:
        session.add(
            ExceptionRow(
                id="x-1", first_run="r", outreach_id=OUTREACH, revision=1, customer_id="c-1", kind="credit",
                amount_minor=500, currency="EUR", requester="ann", status="pending", opened_at=NOON,
                decide_by=NOON + DAY, closed_at=None,
            )
        )  # fmt: skip
    matter(database, "exception/x-1", "exception", NOON + HOUR)
    Decisions(database).accept(record("exception/x-1", "eve", NOON + 3 * HOUR), status="approved", good=list)
    found = Load(database).duties()
    assert found.requests == ("ann",)
    [one] = found.decisions
    assert (one.person, one.exception, one.since) == ("eve", True, NOON)
    assert Load(database).duties(since=NOON + HOUR).requests == ()


def test_escalations_are_told_with_who_took_them(database: Database) -> None:
    escalations = Escalations(database)
    for number, by in enumerate(("", "tom")):
        escalations.keep(
            EscalationRecord(
                id=f"e-{number}", about=OUTREACH, kind="raised", text="t", level=0, levels=1, waiting_on="Lead",
                opened_at=NOON + number * HOUR, acknowledged_by=by, acknowledged_at=NOON + DAY if by else None,
            ),
            at=NOON,
        )  # fmt: skip
    found = Load(database).duties().escalations
    assert sorted(found, key=lambda one: one.person) == [
        Acknowledged(person="", opened_at=NOON, acknowledged_at=None),
        Acknowledged(person="tom", opened_at=NOON + HOUR, acknowledged_at=NOON + DAY),
    ]
    assert len(Load(database).duties(since=NOON + HOUR).escalations) == 1
