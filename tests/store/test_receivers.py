"""Receivers: a correction goes to exactly those who received a step, once each, as they were written to then."""

import pytest
from sqlmodel import col, select

from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database
from tellfirst.store.receivers import Receivers
from tellfirst.store.tables import RecipientRow
from tellfirst.store.windows import Windows
from tests.store.desk import INITIAL, Desk
from tests.store.make import NOON, OUTREACH, candidate, paged

STATES = {
    "c-0": SendState.ACCEPTED,
    "c-1": SendState.DELIVERED,
    "c-2": SendState.FAILED,
    "c-3": SendState.UNKNOWN,
    "c-4": SendState.UNDELIVERED,
}


@pytest.fixture
def receivers(database: Database) -> Receivers:
    return Receivers(database)


@pytest.fixture
def told(desk: Desk) -> Desk:
    desk.deliver(STATES)
    return desk


def rows(database: Database, revision: int = 2) -> list[RecipientRow]:
    with database.read() as session:
        query = select(RecipientRow).where(RecipientRow.revision == revision).order_by(col(RecipientRow.position))
        return list(session.exec(query))


def test_exactly_those_who_received_it_are_copied(told: Desk, receivers: Receivers) -> None:
    told.set_recipient("c-0", facts={"order_id": "7"}, others=2, address_digest="d", share=0.25)
    receivers.copy(OUTREACH, 2, "initial")
    first, second = rows(told.database)
    assert (first.customer_id, first.facts, first.others) == ("c-0", {"order_id": "7"}, 2)
    assert (first.address_digest, first.channel, first.position, first.share) == ("d", "sms", 0, 0.25)
    assert (first.arm, first.t0, first.page, first.content_digest, first.verdict) == (
        None,
        None,
        None,
        None,
        "eligible",
    )
    assert (second.customer_id, second.position) == ("c-1", 1)
    assert [[r.customer for r in some] for some in receivers.copied(OUTREACH, 2)] == [["c-0", "c-1"]]


def test_who_was_told_twice_is_written_to_once(told: Desk, receivers: Receivers) -> None:
    told.set_recipient("c-0", others=1)
    told.set_recipient("c-1", customer_id="c-0", others=3)
    receivers.copy(OUTREACH, 2, "initial")
    assert [(row.customer_id, row.others) for row in rows(told.database)] == [("c-0", 5)]
    assert receivers.read_in(OUTREACH, "initial") == {("sms", "en"): 1}


def test_who_was_forgotten_is_written_to_no_more(told: Desk, receivers: Receivers) -> None:
    told.set_recipient("c-0", leaf="f" * 64)
    receivers.copy(OUTREACH, 2, "initial")
    assert [row.customer_id for row in rows(told.database)] == ["c-1"]


def test_other_steps_and_outreaches_are_not_meant(told: Desk, receivers: Receivers) -> None:
    assert receivers.read_in(OUTREACH, "update-1") == receivers.read_in("outreach/other/k/1", "initial") == {}
    receivers.copy(OUTREACH, 2, "update-1")
    assert rows(told.database) == []


def test_everybody_on_a_page_is_told_and_nobody_is_measured_again(told: Desk, receivers: Receivers) -> None:
    recipients = paged(told.database, [candidate(name) for name in ("c-0", "c-1", "c-2")], revision=2)
    told.set_recipient("c-9", verdict="opted_out")
    before = Windows(told.database).count(OUTREACH)
    drawn = recipients.arms(OUTREACH)
    receivers.tell_all(OUTREACH, 2, first=0, end=1)
    assert {row.arm for row in rows(told.database)} == {"treated"}
    assert {row.t0 for row in rows(told.database)} == {None}
    assert recipients.wave(OUTREACH, 2).treated == 3
    assert recipients.arms(OUTREACH) == drawn
    assert Windows(told.database).count(OUTREACH) == before


def test_every_send_of_a_step_is_listed_by_reference(told: Desk, receivers: Receivers) -> None:
    (sends,) = receivers.sends(OUTREACH, "initial")
    found = {send.customer: send.state for send in sends}
    assert {customer: found[customer] for customer in STATES} == STATES
    assert found["c-5"] == SendState.INTENT
    assert (sends[0].subject_key, sends[0].revision, sends[0].channel, sends[0].at) == ("o-0", 1, "sms", NOON)
    assert receivers.steps(OUTREACH) == ["initial"]
    assert receivers.revisions(OUTREACH, "initial") == [1]
    assert receivers.revisions(OUTREACH, "update-1") == []


def test_long_lists_come_in_parts(told: Desk, receivers: Receivers) -> None:
    assert [len(some) for some in Receivers(told.database, chunk=4).sends(OUTREACH, INITIAL.step)] == [4, 2]
    receivers.copy(OUTREACH, 2, "initial")
    one_by_one = Receivers(told.database, chunk=1).copied(OUTREACH, 2)
    assert [[r.customer for r in some] for some in one_by_one] == [["c-0"], ["c-1"]]


def test_settled_receipts_count(told: Desk, receivers: Receivers) -> None:
    sends = {customer: send for send, customer in told.whose().items()}
    told.set_state(sends["c-0"], SendState.UNDELIVERED)
    told.set_state(sends["c-3"], SendState.DELIVERED)
    assert sum(receivers.read_in(OUTREACH, "initial").values()) == 2
