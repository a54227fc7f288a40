"""Decisions: of any number racing for one revision exactly one is accepted, and every one is kept."""

from collections.abc import Callable

import pytest

from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tests.store.make import HOUR, NOON, OUTREACH, at_once, claim, freeze


def record(approver: str = "ana", decision: str = "approve", **more: object) -> DecisionRecord:
    return DecisionRecord(
        outreach=OUTREACH,
        revision=1,
        decision=decision,
        approver=approver,
        fingerprint="SHA256:x",
        accepted=True,
        code="",
        envelope={"document": {"n": 1}, "signature": "s"},
        received_at=NOON,
    ).model_copy(update=more)


@pytest.fixture
def decisions(database: Database) -> Decisions:
    claim(database)
    freeze(database)
    return Decisions(database)


def status(database: Database) -> str:
    revision = Outreaches(database).revision(OUTREACH, 1)
    assert revision is not None
    return revision.status


def good(_: DecisionRecord) -> bool:
    return True


def test_one_of_twenty_decisions_is_accepted(database: Database, decisions: Decisions) -> None:
    kinds = [("approve", "approved"), ("reject", "rejected")]

    def submit(number: int) -> Callable[[], str]:
        decision, becomes = kinds[number % 2]
        return lambda: decisions.accept(record(f"p-{number}", decision), status=becomes, still_good=good)

    answers = at_once([submit(number) for number in range(20)])
    assert answers.count("") == 1
    winner = answers.index("")
    stands = kinds[winner % 2][1]
    assert {answer for answer in answers if answer} == {stands}
    assert status(database) == stands
    kept = decisions.received(OUTREACH)
    assert len(kept) == 20
    assert [d.approver for d in kept if d.accepted] == [f"p-{winner}"]
    assert {d.code for d in kept if not d.accepted} == {"already_decided"}


def test_decision_comes_back_as_it_was_received(decisions: Decisions) -> None:
    given = record()
    assert decisions.accept(given, status="approved", still_good=good) == ""
    assert decisions.received(OUTREACH) == [given]
    assert decisions.approval(OUTREACH, 1) == given


def test_approval_that_no_longer_holds_is_replaced(database: Database, decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", still_good=good)
    asked: list[str] = []

    def revoked(before: DecisionRecord) -> bool:
        asked.append(before.approver)
        return False

    assert decisions.accept(record("ben"), status="approved", still_good=revoked) == ""
    assert asked == ["ana"]
    approval = decisions.approval(OUTREACH, 1)
    assert approval is not None
    assert approval.approver == "ben"
    assert decisions.accept(record("cleo"), status="approved", still_good=good) == "approved"
    assert status(database) == "approved"


def test_latest_approval_is_the_one_that_is_asked_about(decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", still_good=good)
    decisions.accept(record("ben"), status="approved", still_good=lambda _: False)
    assert decisions.accept(record("cleo"), status="approved", still_good=lambda d: d.approver == "ben") == "approved"


@pytest.mark.parametrize("stands", ["rejected", "expired", "replaced", "changes_requested", "planning"])
def test_only_an_approval_can_be_replaced(database: Database, decisions: Decisions, stands: str) -> None:
    decisions.accept(record("ana"), status="approved", still_good=good)
    Outreaches(database).set_status(OUTREACH, 1, stands)
    assert decisions.accept(record("ben"), status="approved", still_good=lambda _: False) == stands
    assert [d.accepted for d in decisions.received(OUTREACH)] == [True, False]


def test_rejection_is_no_approval(decisions: Decisions) -> None:
    decisions.accept(record(decision="reject"), status="rejected", still_good=good)
    assert decisions.approval(OUTREACH, 1) is None


def test_refused_decision_is_kept_and_decides_nothing(database: Database, decisions: Decisions) -> None:
    refused = record(accepted=False, code="bad_signature", envelope=None, received_at=NOON + HOUR)
    decisions.refuse(refused)
    assert decisions.received(OUTREACH) == [refused]
    assert decisions.approval(OUTREACH, 1) is None
    assert status(database) == "pending"


def test_decision_on_nothing_is_missing(decisions: Decisions) -> None:
    assert decisions.accept(record(revision=7), status="approved", still_good=good) == "missing"
    assert decisions.received(OUTREACH) == []


def test_decisions_are_of_one_revision(database: Database, decisions: Decisions) -> None:
    freeze(database, revision=2)
    decisions.accept(record(), status="approved", still_good=good)
    assert decisions.approval(OUTREACH, 2) is None
    assert decisions.accept(record(revision=2), status="approved", still_good=good) == ""
