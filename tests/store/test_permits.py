"""What is taken of a permit: once for each revision, and never more in all than it covers."""

from functools import partial

import pytest

from tellfirst.signing.kinds import Permit
from tellfirst.signing.permits import Used
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.matters import APPROVED, REVOKED, Matters
from tellfirst.store.permits import Permits, PermitUse, differences
from tests.store.make import DAY, NOON, at_once, claim, freeze, meeting

ABOUT = "permit/p-1"
IN_ALL = 170
CLAIMS = 50
EACH = 10


def outreach(number: int) -> str:
    return f"outreach/late_delivery/k-{number}/1"


def use(number: int = 1, recipients: int = EACH, revision: int = 1) -> PermitUse:
    return PermitUse(
        outreach=outreach(number),
        revision=revision,
        permit=ABOUT,
        recipients=recipients,
        cost_micros=recipients * 1_000,
        digest="d",
        at=NOON,
    )


def room(needed: int, used: Used) -> str:
    return "" if used.in_all + needed <= IN_ALL else f"{IN_ALL - used.in_all} left"


@pytest.fixture
def permits(database: Database) -> Permits:
    permit = Permit(
        environment="test",
        decide_by=NOON + DAY,
        valid_until=NOON + 30 * DAY,
        nonce="n",
        permit="p-1",
        playbook="late_delivery",
        playbook_version="v1",
        channels=("sms",),
        per_outreach=EACH,
        in_all=IN_ALL,
    )
    matters = Matters(database)
    matters.open(permit, "pat", NOON)
    matters.set_status(ABOUT, APPROVED, at=NOON)
    return Permits(database)


def planned(database: Database, count: int) -> None:
    for number in range(1, count + 1):
        claim(database, outreach(number))
        freeze(database, outreach(number))


def test_a_revision_takes_once_and_starts_as_approved(database: Database, permits: Permits) -> None:
    planned(database, 1)
    taken = permits.take(use(), partial(room, EACH))
    again = permits.take(use(recipients=99), partial(room, 99))
    assert taken == again == permits.of(outreach(1), 1) == use()
    assert permits.used(ABOUT) == Used(in_all=EACH, cost_micros=10_000)
    frozen = freeze(database, outreach(1)).revision(outreach(1), 1)
    assert frozen is not None
    assert frozen.status == "approved"
    assert [e.facts["recipients"] for e in Chain(database).entries() if e.kind == "permit_use"] == [EACH]


def test_what_is_not_covered_takes_nothing_and_its_reason_stays(database: Database, permits: Permits) -> None:
    planned(database, 1)
    told = permits.take(use(recipients=200), partial(room, 200))
    assert told.reason == "170 left"
    assert permits.of(outreach(1), 1) is None
    assert permits.leave(told) == permits.leave(use()) == told.model_copy(update={"recipients": 0, "cost_micros": 0})
    assert permits.used(ABOUT) == Used()
    assert permits.uses(ABOUT) == []
    frozen = freeze(database, outreach(1)).revision(outreach(1), 1)
    assert frozen is not None
    assert frozen.status == "pending"


def test_a_permit_that_was_revoked_gives_nothing(database: Database, permits: Permits) -> None:
    planned(database, 1)
    Matters(database).set_status(ABOUT, REVOKED, at=NOON)
    assert permits.take(use(), partial(room, EACH)).reason == "the permit is no longer in force"


def test_what_people_decided_meanwhile_takes_nothing(database: Database, permits: Permits) -> None:
    planned(database, 1)
    freeze(database, outreach(1)).set_status(outreach(1), 1, "rejected")
    assert permits.take(use(), partial(room, EACH)).reason == "it is rejected already"
    assert permits.used(ABOUT).in_all == 0


def test_what_others_took_is_counted_apart_from_the_outreach(database: Database, permits: Permits) -> None:
    planned(database, 2)
    freeze(database, outreach(1), 2)
    for one in (use(1), use(2), use(1, revision=2)):
        permits.take(one, partial(room, EACH))
    assert permits.used(ABOUT, use(1, revision=2)) == Used(in_all=20, in_outreach=10, cost_micros=20_000)
    assert [(u.outreach, u.revision) for u in permits.uses(ABOUT)] == [
        (outreach(1), 1),
        (outreach(1), 2),
        (outreach(2), 1),
    ]


def test_fifty_at_once_never_take_more_than_there_is(database: Database, permits: Permits) -> None:
    planned(database, CLAIMS)
    jobs = [partial(permits.take, use(number), partial(room, EACH)) for number in range(1, CLAIMS + 1)]
    taken = [one for one in at_once(jobs) if not one.reason]
    assert len(taken) == IN_ALL // EACH
    assert permits.used(ABOUT).in_all == IN_ALL
    assert len([e for e in Chain(database).entries() if e.kind == "permit_use"]) == len(taken)


def test_two_that_read_before_either_wrote_do_not_both_take_the_rest(database: Database, permits: Permits) -> None:
    """The schedule in which a missing lock shows: both have summed up, and nobody has committed."""
    planned(database, 2)
    jobs = [partial(permits.take, use(number, IN_ALL), partial(room, IN_ALL)) for number in (1, 2)]
    with meeting(database, "SELECT coalesce(sum", when="after"):
        taken = [one for one in at_once(jobs) if not one.reason]
    assert len(taken) == 1
    assert permits.used(ABOUT).in_all == IN_ALL


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE permit_uses SET recipients = 1",
        "UPDATE permit_uses SET digest = 'x'",
        "DELETE FROM permit_uses",
        "UPDATE permit_uses SET permit = 'permit/p-2'",
    ],
)
def test_a_use_that_was_edited_differs_from_the_log(database: Database, permits: Permits, statement: str) -> None:
    planned(database, 1)
    permits.take(use(), partial(room, EACH))
    assert Chain(database).faults(differences) == []
    with database.write() as session:
        session.connection().exec_driver_sql(statement)
    told = Chain(database).faults(differences)
    assert told == ["audit log: 1 use of a permit is not as it was when the entry was written"]
