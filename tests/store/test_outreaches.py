"""Outreaches: one claim for one condition, revisions that freeze once, endings that stay."""

import pytest

from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tests.store.make import (
    DAY,
    HOUR,
    NOON,
    OUTREACH,
    at_once,
    candidate,
    claim,
    condition,
    customers,
    freeze,
    paged,
    plan,
    proposal,
)


def test_one_of_twenty_claims_a_condition(database: Database) -> None:
    outreaches = Outreaches(database)

    def attempt(run: int) -> bool:
        return outreaches.claim(OUTREACH, condition(), run=f"run-{run}", now=NOON)

    won = at_once([lambda run=run: attempt(run) for run in range(20)])
    assert won.count(True) == 1
    assert attempt(won.index(True)), "the same run asks again after a crash"
    assert not attempt(99)


def test_another_workflow_cannot_claim_the_condition(database: Database) -> None:
    outreaches = claim(database)
    assert not outreaches.claim("outreach/elsewhere", condition(), run="run-1", now=NOON)
    assert outreaches.get("outreach/elsewhere") is None
    assert outreaches.claim("outreach/late_delivery/k-1/2", condition(episode=2), run="run-1", now=NOON)


def test_claim_keeps_what_a_plan_needs(database: Database) -> None:
    outreaches = Outreaches(database)
    subjects = [f"o-{n:04d}" for n in range(1000)]
    assert outreaches.claim(OUTREACH, condition(subjects=subjects), run="run-1", now=NOON)
    kept = [s for chunk in outreaches.subjects(OUTREACH) for s in chunk]
    assert [s.key for s in kept] == subjects
    assert kept[7].customer == "c-0007"


def test_lost_claim_leaves_no_subjects(database: Database) -> None:
    outreaches = claim(database)
    assert not outreaches.claim(OUTREACH, condition(subjects=["o-9"]), run="run-2", now=NOON)
    assert [s.key for chunk in outreaches.subjects(OUTREACH) for s in chunk] == ["o-1"]


def test_revision_freezes_once(database: Database) -> None:
    claim(database)
    outreaches = freeze(database)
    changed = plan().model_copy(update={"recipients": 7})
    outreaches.freeze(OUTREACH, changed, proposal())
    outreaches.open_revision(OUTREACH, 1, "v1", now=NOON + DAY)
    revision = outreaches.revision(OUTREACH, 1)
    assert revision is not None
    assert (revision.plan, revision.proposal, revision.playbook_text) == (plan(), proposal(), "text")
    assert revision.status == "pending"


@pytest.mark.parametrize("status", ["approved", "rejected", "replaced"])
def test_decided_revision_is_not_frozen_again(database: Database, status: str) -> None:
    claim(database)
    outreaches = freeze(database)
    outreaches.set_status(OUTREACH, 1, status)
    outreaches.freeze(OUTREACH, plan(), proposal())
    revision = outreaches.revision(OUTREACH, 1)
    assert revision is not None
    assert revision.status == status


def test_revision_is_read_only_when_frozen(database: Database) -> None:
    outreaches = claim(database)
    outreaches.keep_playbook("v1", "late_delivery", "text", now=NOON)
    outreaches.open_revision(OUTREACH, 1, "v1", now=NOON)
    assert outreaches.revision(OUTREACH, 1) is None
    assert outreaches.latest_revision(OUTREACH) == 0
    freeze(database)
    freeze(database, revision=2)
    assert outreaches.latest_revision(OUTREACH) == 2


def test_playbook_text_stays_as_first_seen(database: Database) -> None:
    claim(database)
    outreaches = freeze(database)
    outreaches.keep_playbook("v1", "late_delivery", "another text", now=NOON + DAY)
    revision = outreaches.revision(OUTREACH, 1)
    assert revision is not None
    assert revision.playbook_text == "text"


@pytest.mark.parametrize(
    ("status", "counts"), [("pending", True), ("approved", True), ("rejected", True), ("replaced", False)]
)
def test_planned_already_counts_what_was_not_replaced(database: Database, status: str, counts: bool) -> None:
    claim(database)
    customers(database, ["c-1", "c-2"])
    outreaches = freeze(database)
    paged(database, [candidate("c-1"), candidate("c-2", verdict="opted_out")])
    outreaches.set_status(OUTREACH, 1, status)
    found = outreaches.planned_already(OUTREACH, ["o-1", "o-2", "o-3"])
    assert found == ({"o-1", "o-2"} if counts else set())


def test_planned_already_does_not_count_an_unfinished_plan(database: Database) -> None:
    outreaches = claim(database)
    outreaches.keep_playbook("v1", "late_delivery", "text", now=NOON)
    outreaches.open_revision(OUTREACH, 1, "v1", now=NOON)
    paged(database, [candidate("c-1")])
    assert outreaches.planned_already(OUTREACH, ["o-1"]) == set()


def test_planned_already_is_of_one_outreach(database: Database) -> None:
    other = "outreach/late_delivery/k-2/1"
    claim(database)
    claim(database, other)
    freeze(database, other)
    paged(database, [candidate("c-1")], outreach=other)
    assert Outreaches(database).planned_already(OUTREACH, ["o-1"]) == set()


def test_replaced_subject_that_was_planned_again_counts(database: Database) -> None:
    claim(database)
    freeze(database)
    paged(database, [candidate("c-1")])
    outreaches = freeze(database, revision=2)
    paged(database, [candidate("c-1")], revision=2)
    outreaches.set_status(OUTREACH, 1, "replaced")
    assert outreaches.planned_already(OUTREACH, ["o-1"]) == {"o-1"}


def test_first_ending_stays(database: Database) -> None:
    outreaches = claim(database)
    assert [o.id for o in outreaches.all(open_only=True)] == [OUTREACH]
    outreaches.close(OUTREACH, ending="expired", reason="nobody decided", at=NOON)
    outreaches.close(OUTREACH, ending="measured", reason="", at=NOON + DAY)
    record = outreaches.get(OUTREACH)
    assert record is not None
    assert (record.ending, record.reason, record.closed_at) == ("expired", "nobody decided", NOON)
    assert outreaches.all(open_only=True) == []
    assert [o.id for o in outreaches.all()] == [OUTREACH]


def test_first_instant_of_clearing_stays(database: Database) -> None:
    outreaches = claim(database)
    outreaches.clear(OUTREACH, at=NOON)
    outreaches.clear(OUTREACH, at=NOON + HOUR)
    record = outreaches.get(OUTREACH)
    assert record is not None
    assert record.cleared_at == NOON


def test_going_on_also_lifts_the_breaker(database: Database) -> None:
    outreaches = claim(database)
    outreaches.block(OUTREACH, "provider_block:30007")
    outreaches.hold(OUTREACH, paused=True)
    held = outreaches.get(OUTREACH)
    outreaches.hold(OUTREACH, paused=False)
    going = outreaches.get(OUTREACH)
    assert held is not None
    assert going is not None
    assert (held.paused, held.blocked) == (True, "provider_block:30007")
    assert (going.paused, going.blocked) == (False, "")
