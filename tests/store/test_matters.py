"""Matters: each is opened once, under the name its decisions carry."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tellfirst.signing.kinds import LibraryChange, Resume
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.matters import MatterRecord, Matters, rewritten
from tests.store.make import HOUR, NOON, at_once

CHANGE = LibraryChange(
    environment="test",
    decide_by=NOON + timedelta(days=7),
    valid_until=NOON + timedelta(days=365),
    nonce="n-1",
    playbook="late_delivery",
    playbook_version="5f" * 32,
    data_changed=False,
    proposer="pat",
)
RESUME = Resume(
    environment="test", decide_by=NOON, valid_until=NOON, nonce="n-2", pause="p", paused_by="pat", paused_at=NOON
)


@pytest.fixture
def matters(database: Database) -> Matters:
    return Matters(database)


def test_matter_comes_back_as_it_was_proposed(matters: Matters) -> None:
    opened = matters.open(CHANGE, "pat", NOON)
    assert opened == matters.get(CHANGE.about)
    assert (opened.proposal, opened.proposer, opened.status) == (CHANGE, "pat", "pending")
    assert isinstance(opened.proposal, LibraryChange)
    assert matters.get("library/other/1") is None


def test_matter_opened_again_stays_as_it_is(matters: Matters) -> None:
    first = matters.open(CHANGE, "pat", NOON)
    assert matters.open(CHANGE.model_copy(update={"nonce": "n-9"}), "eve", NOON + HOUR) == first
    matters.set_status(CHANGE.about, "rejected", at=NOON)
    assert matters.open(CHANGE, "eve", NOON + HOUR).status == "rejected"


def test_twenty_at_once_open_one(matters: Matters) -> None:
    def asked(number: int) -> Callable[[], MatterRecord]:
        return lambda: matters.open(CHANGE.model_copy(update={"nonce": f"n-{number}"}), "pat", NOON)

    assert len({record.proposal.nonce for record in at_once([asked(number) for number in range(20)])}) == 1


def test_matter_that_expired_is_opened_anew(matters: Matters) -> None:
    matters.open(CHANGE, "pat", NOON)
    matters.set_status(CHANGE.about, "expired", at=NOON)
    again = CHANGE.model_copy(update={"nonce": "n-9"})
    opened = matters.open(again, "eve", NOON + HOUR)
    assert (opened.proposal, opened.proposer, opened.status, opened.closed_at) == (again, "eve", "pending", None)
    assert matters.get(CHANGE.about) == opened


def test_status_moves_only_from_where_it_may(matters: Matters) -> None:
    matters.open(CHANGE, "pat", NOON)
    assert not matters.set_status(CHANGE.about, "revoked", at=NOON, only=("approved",))
    assert matters.set_status(CHANGE.about, "approved", at=NOON, only=("pending",))
    found = matters.get(CHANGE.about)
    assert found is not None
    assert (found.status, found.closed_at) == ("approved", NOON)
    assert not matters.set_status("library/other/1", "approved", at=NOON)


def test_matters_are_listed_by_kind_and_status(matters: Matters) -> None:
    later = CHANGE.model_copy(update={"playbook_version": "6a" * 32})
    for number, proposal in enumerate((later, CHANGE, RESUME)):
        matters.open(proposal, "pat", NOON + number * HOUR)
    matters.set_status(CHANGE.about, "approved", at=NOON)
    assert [one.about for one in matters.of_kind("library")] == [later.about, CHANGE.about]
    assert [one.about for one in matters.of_kind("library", "approved")] == [CHANGE.about]
    assert [one.proposal for one in matters.of_kind("resume")] == [RESUME]


@pytest.mark.parametrize("change", ["status = 'approved'", "proposal = '{}'"])
def test_matter_that_the_log_tells_otherwise_of_is_found(change: str, matters: Matters, database: Database) -> None:
    """A version that was taken back must not come back by one UPDATE unseen."""
    matters.open(CHANGE, "pat", NOON)
    assert Chain(database).faults(rewritten) == []
    matters.set_status(CHANGE.about, "revoked", at=NOON, by="leo")
    matters.open(RESUME, "pat", NOON)
    assert Chain(database).faults(rewritten) == []
    with database.write() as session:
        session.connection().exec_driver_sql(f"UPDATE matters SET {change} WHERE kind = 'library'")
    assert Chain(database).faults(rewritten) == ["audit log: 1 matter is not as it was written down"]


def test_matter_that_is_proposed_anew_is_as_the_log_tells(matters: Matters, database: Database) -> None:
    matters.open(CHANGE, "pat", NOON)
    matters.set_status(CHANGE.about, "expired", at=NOON)
    matters.open(CHANGE.model_copy(update={"nonce": "n-9"}), "eve", NOON + HOUR)
    assert Chain(database).faults(rewritten) == []
