"""Decisions: of any number racing for one revision exactly one is accepted, and every one is kept."""

from collections.abc import Callable, Sequence

import pytest

from tellfirst.store.decisions import DecisionRecord, Decisions, Good, Standing
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tests.store.make import HOUR, NOON, OUTREACH, at_once, claim, freeze


def record(approver: str = "ana", decision: str = "approve", **more: object) -> DecisionRecord:
    return DecisionRecord(
        about=OUTREACH,
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


def good(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    return list(records)


def test_one_of_twenty_decisions_is_accepted(database: Database, decisions: Decisions) -> None:
    kinds = [("approve", "approved"), ("reject", "rejected")]

    def submit(number: int) -> Callable[[], Standing]:
        decision, becomes = kinds[number % 2]
        return lambda: decisions.accept(record(f"p-{number}", decision), status=becomes, good=good)

    answers = at_once([submit(number) for number in range(20)])
    assert [answer.taken for answer in answers].count(True) == 1
    winner = [answer.taken for answer in answers].index(True)
    stands = kinds[winner % 2][1]
    assert {answer.status for answer in answers} == {stands}
    assert status(database) == stands
    kept = decisions.received(OUTREACH)
    assert len(kept) == 20
    assert [d.approver for d in kept if d.accepted] == [f"p-{winner}"]
    assert {d.code for d in kept if not d.accepted} == {"already_decided"}


def test_decision_comes_back_as_it_was_received(decisions: Decisions) -> None:
    given = record()
    assert decisions.accept(given, status="approved", good=good) == Standing(status="approved", taken=True, approvals=1)
    assert decisions.received(OUTREACH) == [given]
    assert decisions.approvals(OUTREACH, 1) == [given]


def revoked(*people: str) -> Good:
    return lambda records: [one for one in records if one.approver not in people]


def test_approval_that_no_longer_holds_is_replaced(database: Database, decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", good=good)
    assert decisions.accept(record("ben"), status="approved", good=revoked("ana")).taken
    assert decisions.accept(record("cleo"), status="approved", good=revoked("ana")) == Standing(
        status="approved", taken=False
    )
    assert [d.approver for d in decisions.received(OUTREACH) if d.accepted] == ["ana", "ben"]
    assert status(database) == "approved"


def test_where_two_are_needed_it_waits_for_the_second(database: Database, decisions: Decisions) -> None:
    assert decisions.accept(record("ana"), status="approved", needed=2, good=good).status == "pending"
    assert status(database) == "pending"
    assert decisions.accept(record("ben"), status="approved", needed=2, good=good).status == "approved"
    assert status(database) == "approved"
    assert len(decisions.approvals(OUTREACH, 1)) == 2


def test_a_second_that_does_not_hold_beside_the_first_is_refused(database: Database, decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", needed=2, good=good)
    other = record("ana", envelope={"document": {"n": 2}, "signature": "s"})
    assert not decisions.accept(other, status="approved", needed=2, good=lambda r: list(r[:1])).taken
    assert status(database) == "pending"


def test_a_rejection_ends_what_was_half_approved(database: Database, decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", needed=2, good=good)
    assert decisions.accept(record("ben", "reject"), status="rejected", needed=2, good=good).status == "rejected"
    assert decisions.approvals(OUTREACH, 1) == []


def test_until_the_last_replacement_has_come_it_is_not_told_as_approved(
    database: Database, decisions: Decisions
) -> None:
    for name in ("ana", "ben"):
        decisions.accept(record(name), status="approved", needed=2, good=good)
    both = revoked("ana", "ben")
    one = Standing(status="pending", taken=True, approvals=1)
    assert decisions.accept(record("cleo"), status="approved", needed=2, good=both) == one
    assert decisions.accept(record("cleo"), status="approved", needed=2, good=both) == one, "and told again"
    assert status(database) == "approved", "the row stays: nothing leaves of it meanwhile, and it does not expire anew"
    two = Standing(status="approved", taken=True, approvals=2)
    assert decisions.accept(record("dora"), status="approved", needed=2, good=both) == two


@pytest.mark.parametrize("stands", ["rejected", "expired", "replaced", "changes_requested", "planning"])
def test_only_an_approval_can_be_replaced(database: Database, decisions: Decisions, stands: str) -> None:
    decisions.accept(record("ana"), status="approved", good=good)
    Outreaches(database).set_status(OUTREACH, 1, stands)
    ben = decisions.accept(record("ben"), status="approved", good=revoked("ana"))
    assert ben == Standing(status=stands, taken=False)
    assert [d.accepted for d in decisions.received(OUTREACH)] == [True, False]


def test_rejection_is_no_approval(decisions: Decisions) -> None:
    decisions.accept(record(decision="reject"), status="rejected", good=good)
    assert decisions.approvals(OUTREACH, 1) == []


def test_refused_decision_is_kept_and_decides_nothing(database: Database, decisions: Decisions) -> None:
    refused = record(accepted=False, code="bad_signature", envelope=None, received_at=NOON + HOUR)
    decisions.refuse(refused)
    assert decisions.received(OUTREACH) == [refused]
    assert decisions.approvals(OUTREACH, 1) == []
    assert status(database) == "pending"


def test_decision_on_nothing_is_missing(decisions: Decisions) -> None:
    assert decisions.accept(record(revision=7), status="approved", good=good).status == "missing"
    assert decisions.received(OUTREACH) == []


def test_decisions_are_of_one_revision(database: Database, decisions: Decisions) -> None:
    freeze(database, revision=2)
    decisions.accept(record(), status="approved", good=good)
    assert decisions.approvals(OUTREACH, 2) == []
    assert decisions.accept(record(revision=2), status="approved", good=good).taken


def test_the_accepted_one_is_accepted_again(database: Database, decisions: Decisions) -> None:
    """Whoever was to hear of it may have died before."""
    for _ in range(2):
        assert decisions.accept(record("ana"), status="approved", good=good) == Standing(
            status="approved", taken=True, approvals=1
        )
    assert len(decisions.received(OUTREACH)) == 1


def test_changes_come_too_late_once_it_was_approved(database: Database, decisions: Decisions) -> None:
    decisions.accept(record("ana"), status="approved", good=good)
    late = decisions.accept(record("ben", "request_changes"), status="changes_requested", good=revoked("ana"))
    assert late == Standing(status="approved", taken=False)
