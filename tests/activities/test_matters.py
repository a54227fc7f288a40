"""Matters are judged in one place: on receipt, kept whatever becomes of it, and again whenever it counts."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from activities.approvals import RegistryFile
from activities.matters import MatterApprovals
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import decide
from tellfirst.store.chain import Chain
from tellfirst.store.decisions import Decisions
from tellfirst.store.engine import Database
from tellfirst.store.matters import Matters
from tests.signing.make import Signer, ed25519, envelope
from tests.store.make import HOUR, NOON, at_once
from tests.store.test_matters import CHANGE

ONE = ApprovalRule(roles=("Library approver",), excluded=frozenset({"pat"}))
BOTH = ApprovalRule(
    roles=("Library approver", "Privacy owner"),
    needed=2,
    excluded=frozenset({"pat"}),
    each=("Library approver", "Privacy owner"),
)
PEOPLE = {
    "lia": ("Library approver",),
    "leo": ("Library approver",),
    "prue": ("Privacy owner",),
    "bea": ("Library approver", "Privacy owner"),
    "pat": ("Library approver", "Privacy owner"),
    "eve": ("Service lead",),
}


def registry(signers: dict[str, Signer], *revoked: str) -> str:
    return "".join(
        f"""
[[people]]
principal = "{name}"
team = "support"
internal = true
roles = [{", ".join(f'"{role}"' for role in PEOPLE[name])}]
[[people.keys]]
key = "{signer.line}"
{"revoked = 2026-01-01T00:00:00Z" if name in revoked else ""}
"""
        for name, signer in signers.items()
    )


class Desk:
    """Is the judge with its registry, and whoever signs."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.signers = {name: ed25519() for name in PEOPLE}
        self.file = folder / "approvers.toml"
        self.file.write_text(registry(self.signers))
        self.matters, self.decisions = Matters(database), Decisions(database)
        self.judge = MatterApprovals(
            decisions=self.decisions,
            matters=self.matters,
            registry=RegistryFile(self.file, Chain(database)),
            environment="test",
        )
        self.matters.open(CHANGE, "pat", NOON)

    def signed(self, name: str, decision: Choice = "approve", prior: str = "") -> DecisionEnvelope:
        document = decide(CHANGE, decision, name, NOON, "because", prior)
        return envelope(self.signers[name], document.document())

    def give(
        self, name: str, rule: ApprovalRule = ONE, decision: Choice = "approve", prior: str = ""
    ) -> DecisionAnswer:
        return self.judge.receive(CHANGE.about, self.signed(name, decision, prior), rule, NOON)

    def holds(self, rule: ApprovalRule, now: datetime) -> str:
        matter = self.matters.get(CHANGE.about)
        assert matter is not None
        return self.judge.holds(matter, rule, now)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


def test_approval_by_one_holds(desk: Desk) -> None:
    assert desk.holds(ONE, NOON) == "not_approved"
    assert (answer := desk.give("lia")).accepted
    assert answer.status == "approved"
    assert desk.holds(ONE, NOON) == ""


@pytest.mark.parametrize(
    ("name", "code"), [("eve", "not_an_approver"), ("prue", "not_an_approver"), ("pat", "own_proposal")]
)
def test_refused_ones_are_kept_with_their_code(desk: Desk, name: str, code: str) -> None:
    assert desk.give(name).code == code
    assert [(one.code, one.approver, one.accepted) for one in desk.decisions.received(CHANGE.about)] == [
        (code, name, False)
    ]
    assert desk.holds(ONE, NOON) == "not_approved"


def test_what_is_no_decision_is_refused_without_being_kept(desk: Desk) -> None:
    answer = desk.judge.receive(CHANGE.about, {"document": "anything"}, ONE, NOON)
    assert (answer.accepted, answer.code) == (False, "malformed")
    assert [one.envelope for one in desk.decisions.received(CHANGE.about)] == [None]


def test_nothing_is_decided_that_nobody_proposed(desk: Desk) -> None:
    assert desk.judge.receive("library/other/1", desk.signed("lia"), ONE, NOON).code == "not_ready"


def test_a_decision_about_another_matter_is_refused(desk: Desk) -> None:
    other = CHANGE.model_copy(update={"playbook_version": "6a" * 32})
    desk.matters.open(other, "pat", NOON)
    assert desk.judge.receive(other.about, desk.signed("lia"), ONE, NOON).code == "wrong_outreach"


@pytest.mark.parametrize("order", [("lia", "prue"), ("prue", "lia"), ("bea", "lia"), ("bea", "prue"), ("lia", "bea")])
def test_two_roles_take_two_people(desk: Desk, order: tuple[str, str]) -> None:
    first, second = order
    assert desk.give(first, BOTH).status == "pending"
    assert desk.holds(BOTH, NOON) == "not_approved"
    prior = digest(desk.signed(first).document)
    assert desk.give(second, BOTH, prior=prior).status == "approved"
    assert desk.holds(BOTH, NOON) == ""


def test_until_the_last_replacement_has_come_it_is_told_as_pending(desk: Desk) -> None:
    desk.give("lia", BOTH)
    desk.give("prue", BOTH, prior=digest(desk.signed("lia").document))
    desk.file.write_text(registry(desk.signers, "lia", "prue"))
    first = desk.give("leo", BOTH)
    assert (first.accepted, first.status, first.approvals, first.needed) == (True, "pending", 1, 2)
    assert desk.holds(BOTH, NOON) == "key_revoked"
    second = desk.give("bea", BOTH, prior=digest(desk.signed("leo").document))
    assert (second.accepted, second.status, second.approvals, second.needed) == (True, "approved", 2, 2)
    assert desk.holds(BOTH, NOON) == ""


@pytest.mark.parametrize(("second", "code"), [("leo", "other_role_needed"), ("lia", "same_person")])
def test_two_of_one_role_or_one_person_twice_are_not_enough(desk: Desk, second: str, code: str) -> None:
    desk.give("lia", BOTH)
    assert desk.give(second, BOTH, prior=digest(desk.signed("lia").document)).code == code
    assert desk.holds(BOTH, NOON) == "not_approved"


def test_status_set_in_the_database_is_no_approval(desk: Desk) -> None:
    desk.matters.set_status(CHANGE.about, "approved", at=NOON)
    assert desk.holds(ONE, NOON) == "not_approved"


def test_half_approved_and_its_status_set_in_the_database_is_no_approval(desk: Desk) -> None:
    desk.give("lia", BOTH)
    desk.matters.set_status(CHANGE.about, "approved", at=NOON)
    assert desk.holds(BOTH, NOON) == "not_approved"


def test_proposal_changed_in_the_database_is_no_longer_approved(desk: Desk) -> None:
    desk.give("lia")
    desk.matters.set_status(CHANGE.about, "expired", at=NOON)
    desk.matters.open(CHANGE.model_copy(update={"data_changed": True}), "pat", NOON)
    desk.matters.set_status(CHANGE.about, "approved", at=NOON)
    assert desk.holds(ONE, NOON) == "stale_content"


def test_revoked_key_ends_it_and_a_revoked_matter_too(desk: Desk) -> None:
    desk.give("lia")
    desk.file.write_text(registry(desk.signers, "lia"))
    assert desk.holds(ONE, NOON) == "key_revoked"
    desk.file.write_text(registry(desk.signers))
    assert desk.holds(ONE, NOON) == ""
    desk.matters.set_status(CHANGE.about, "revoked", at=NOON)
    assert desk.holds(ONE, NOON) == "revoked"


def test_approval_ends_with_its_validity(desk: Desk) -> None:
    desk.give("lia")
    assert desk.holds(ONE, CHANGE.valid_until + HOUR) == "expired"


def test_no_registry_refuses_in_words(desk: Desk) -> None:
    desk.give("lia")
    desk.file.unlink()
    assert desk.give("leo").code == "no_registry"
    assert desk.holds(ONE, NOON) == "no_registry"


def test_of_twenty_at_once_one_is_taken(desk: Desk) -> None:
    def job(number: int) -> Callable[[], DecisionAnswer]:
        return lambda: desk.give("lia" if number % 2 else "leo", decision="approve" if number % 3 else "reject")

    answers = at_once([job(number) for number in range(20)])
    assert len({(a.decision, a.approver) for a in answers if a.accepted}) == 1
    assert len(desk.decisions.received(CHANGE.about)) >= 20 - sum(a.accepted for a in answers)


@pytest.mark.parametrize(
    ("people", "covered"),
    [
        ([("a",), ("b",)], True),
        ([("b",), ("a", "b")], True),
        ([("a",), ("a",)], False),
        ([("a", "b"), ("c",)], False),
        ([("a", "b")], True),
        ([("a",), ("b",), ("a", "b")], False),
    ],
)
def test_nobody_stands_for_two_roles(people: list[tuple[str, ...]], covered: bool) -> None:
    assert ApprovalRule(roles=("a", "b"), needed=2, each=("a", "b")).covers(people) is covered
