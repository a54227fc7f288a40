"""A pause of everything ends with the second signature, in the same transaction, and with nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from activities.approvals import RegistryFile
from activities.matters import MatterApprovals
from activities.resume import EXPIRE_AFTER, Resumes
from tellfirst.contract import DecisionAnswer, DecisionEnvelope, resume_id
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import decide
from tellfirst.store.chain import Chain
from tellfirst.store.controls import PAUSE_ALL, Controls
from tellfirst.store.decisions import Decisions
from tellfirst.store.engine import Database
from tellfirst.store.matters import MatterRecord, Matters
from tests.signing.make import ed25519, envelope
from tests.store.make import HOUR, NOON, at_once

ABOUT = resume_id("p-1")
ROLES = {"ana": "Service lead", "ben": "Incident lead", "eve": "Library approver"}
CROWD = [f"d-{n}" for n in range(20)]


class Desk:
    """Is a pause of everything by Ana, and the people who sign that it ends; the crowd are duty managers."""

    def __init__(self, database: Database, folder: Path) -> None:
        roles = ROLES | dict.fromkeys(CROWD, "Duty manager")
        self.signers = {name: ed25519() for name in roles}
        self.registry = folder / "approvers.toml"
        self.registry.write_text(
            "".join(
                f'[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["{role}"]\n'
                f'[[people.keys]]\nkey = "{self.signers[name].line}"\n'
                for name, role in roles.items()
            )
        )
        self.controls, self.matters, self.decisions = Controls(database), Matters(database), Decisions(database)
        self.chain = Chain(database)
        self.kind = Resumes(matters=self.matters, controls=self.controls, environment="test")
        self.judge = MatterApprovals(
            decisions=self.decisions,
            matters=self.matters,
            registry=RegistryFile(self.registry, self.chain),
            environment="test",
        )
        self.controls.pause_all("p-1", by="ana", at=NOON)
        assert self.kind.open(ABOUT, None, NOON).status == "pending"

    def matter(self, about: str = ABOUT) -> MatterRecord:
        found = self.matters.get(about)
        assert found is not None
        return found

    def signed(
        self, name: str, prior: str = "", choice: Choice = "approve", about: str = ABOUT, at: datetime = NOON
    ) -> DecisionEnvelope:
        document = decide(self.matter(about).proposal, choice, name, at, "because", prior)
        return envelope(self.signers[name], document.document())

    def give(self, given: DecisionEnvelope, about: str = ABOUT, at: datetime = NOON) -> DecisionAnswer:
        matter = self.matter(about)
        return self.judge.receive(
            *(about, given.model_dump(mode="json"), self.kind.rule(matter), at),
            overtaken=self.kind.overtaken(matter, at),
            effect=self.kind.effect(matter, at),
        )

    @property
    def paused(self) -> bool:
        return self.controls.pause() is not None

    @property
    def ended(self) -> int:
        return sum(entry.kind == "switch_off" for entry in self.chain.entries())


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


def test_second_signature_ends_the_pause(desk: Desk) -> None:
    first = desk.signed("ana")
    answer = desk.give(first)
    assert (answer.accepted, answer.status, answer.approvals, answer.needed) == (True, "pending", 1, 2)
    assert desk.paused, "one who paused counts as one of two"
    second = desk.signed("ben", digest(first.document))
    answer = desk.give(second)
    assert (answer.accepted, answer.status, answer.approvals) == (True, "approved", 2)
    assert (desk.paused, desk.ended) == (False, 1)
    assert desk.give(second).accepted, "told again to whoever died before hearing it"
    assert desk.ended == 1


@pytest.mark.parametrize(
    ("name", "prior", "code"),
    [("eve", True, "not_an_approver"), ("ana", True, "same_person"), ("ben", False, "wrong_prior")],
)
def test_what_is_no_second_signature_ends_nothing(desk: Desk, name: str, prior: bool, code: str) -> None:
    first = desk.signed("ana")
    desk.give(first)
    given = desk.signed(name, digest(first.document) if prior else "")
    assert desk.give(given if name != "ana" else desk.signed("ana", digest(first.document))).code == code
    assert desk.paused
    assert [d.code for d in desk.decisions.received(ABOUT)] == ["", code]


def test_signature_for_an_earlier_pause_is_worth_nothing(desk: Desk) -> None:
    first = desk.signed("ana")
    desk.give(first)
    second = desk.signed("ben", digest(first.document))
    desk.controls.pause_all("p-2", by="zoe", at=NOON + HOUR)
    stale = desk.give(second, at=NOON + HOUR)
    assert (stale.code, stale.message) == ("stale_content", "another pause began since")
    assert desk.kind.open(ABOUT, None, NOON + HOUR).status == "refused"
    later = resume_id("p-2")
    assert desk.kind.open(later, None, NOON + HOUR).status == "pending"
    for envelope_ in (first, second):
        assert desk.give(envelope_, later, NOON + HOUR).code == "wrong_outreach"
    assert desk.paused
    assert desk.ended == 0


def test_pause_that_comes_between_the_judgement_and_its_record_stays(desk: Desk) -> None:
    """What the judge read is read again in the transaction that ends the pause."""
    first = desk.signed("ana")
    desk.give(first)
    second = desk.signed("ben", digest(first.document))
    matter = desk.matter()
    desk.controls.pause_all("p-2", by="zoe", at=NOON)
    answer = desk.judge.receive(
        *(ABOUT, second.model_dump(mode="json"), desk.kind.rule(matter), NOON), effect=desk.kind.effect(matter, NOON)
    )
    assert (answer.accepted, answer.code) == (False, "stale_content")
    assert (desk.paused, desk.ended, desk.matter().status) == (True, 0, "pending")
    assert [(d.accepted, d.code) for d in desk.decisions.received(ABOUT)] == [(True, ""), (False, "stale_content")]


def test_where_nothing_is_paused_nothing_is_opened(desk: Desk) -> None:
    desk.controls.turn_off(PAUSE_ALL, by="somebody", at=NOON)
    opened = desk.kind.open(ABOUT, None, NOON)
    assert (opened.status, opened.reason) == ("refused", "that pause is not on")
    assert desk.give(desk.signed("ana")).message == "nothing is paused as a whole"


@pytest.mark.parametrize("late", [timedelta(0), EXPIRE_AFTER + timedelta(seconds=1)])
def test_both_sign_within_hours_of_each_other(desk: Desk, late: timedelta) -> None:
    first = desk.signed("ana")
    desk.give(first)
    second = desk.signed("ben", "" if late else digest(first.document), at=NOON + late)
    assert desk.give(second, at=NOON + late).code == ("too_late" if late else "")
    assert desk.paused is bool(late)


def test_what_lapsed_or_was_rejected_is_signed_anew_by_both(desk: Desk) -> None:
    first = desk.signed("ana")
    desk.give(first)
    second = desk.signed("ben", digest(first.document))
    late = NOON + EXPIRE_AFTER + HOUR
    assert desk.kind.open(ABOUT, None, late).status == "pending"
    assert desk.give(second, at=late).code == "stale_content"
    rejected = desk.give(desk.signed("ben", choice="reject", at=late), at=late)
    assert (rejected.status, desk.paused) == ("rejected", True)
    assert desk.kind.open(ABOUT, None, late).status == "pending"
    anew = desk.signed("ben", at=late)
    assert desk.give(anew, at=late).approvals == 1
    assert desk.give(desk.signed("ana", digest(anew.document), at=late), at=late).status == "approved"
    assert not desk.paused


def test_key_revoked_between_the_two_counts_no_more(desk: Desk) -> None:
    first = desk.signed("ana")
    desk.give(first)
    text = desk.registry.read_text()
    desk.registry.write_text(text.replace("[[people.keys]]\n", "[[people.keys]]\nrevoked = 2026-01-01T00:00:00Z\n", 1))
    assert desk.give(desk.signed("ben", digest(first.document))).code == "wrong_prior"
    assert desk.give(desk.signed("ben")).status == "pending"
    assert desk.paused


def test_of_twenty_at_once_one_is_the_first_and_one_the_second(desk: Desk) -> None:
    def job(name: str, prior: str) -> Callable[[], DecisionAnswer]:
        given = desk.signed(name, prior)
        return lambda: desk.give(given)

    first = at_once([job(name, "") for name in CROWD])
    assert [a.status for a in first if a.accepted] == ["pending"]
    assert desk.paused
    stands = desk.decisions.approvals(ABOUT)[0]
    assert stands.envelope is not None
    document = stands.envelope["document"]
    assert isinstance(document, dict)
    second = at_once([job(name, digest(document)) for name in CROWD])
    assert [a.status for a in second if a.accepted] == ["approved"]
    assert (desk.paused, desk.ended) == (False, 1)


def test_pause_that_races_with_the_second_signature_is_never_lost(desk: Desk) -> None:
    first = desk.signed("ana")
    desk.give(first)
    given = desk.signed("ben", digest(first.document))

    def sign() -> DecisionAnswer | None:
        return desk.give(given)

    def pause() -> DecisionAnswer | None:
        desk.controls.pause_all("p-2", by="zoe", at=NOON)
        return None

    at_once([pause, sign])
    present = desk.controls.pause()
    assert present is not None
    assert (present.value, present.by) == ("p-2", "zoe")
