"""Doubts: an intent without an answer is resolved once, and never by another message's proof."""

import pytest
from sqlmodel import col, delete, update

from tellfirst.domain.message import SendState
from tellfirst.store.doubts import Settlement
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import ContactPointRow, ReceiptRow, SendRow
from tests.store.desk import Desk, step
from tests.store.make import HOUR, NOON, OUTREACH, at_once, candidate, meeting, paged


@pytest.fixture
def doubtful(desk: Desk) -> Desk:
    """Returns a page whose every send is in doubt."""
    desk.intend(desk.open())
    return desk


def found(send: str, provider_id: str = "p-1") -> Settlement:
    return Settlement(id=send, state=SendState.ACCEPTED, reason="reconciled", provider_id=provider_id)


def ids(desk: Desk, **of: int | str | None) -> list[str]:
    return [send.id for send in desk.doubts.in_doubt(OUTREACH, "initial", "sms", **of)]  # type: ignore[arg-type]


def test_in_doubt_are_the_intents_list_by_list(doubtful: Desk) -> None:
    rows = doubtful.rows()
    doubtful.set_state(rows[0].id, SendState.ACCEPTED)
    doubtful.set_state(rows[1].id, SendState.UNKNOWN)
    doubtful.set_state(rows[2].id, SendState.PLANNED)
    first = ids(doubtful, limit=2)
    assert sorted([*first, *ids(doubtful, after=first[-1])]) == sorted(row.id for row in rows[3:])
    assert (len(first), len(ids(doubtful, after=first[-1]))) == (2, 1)


def test_in_doubt_is_of_one_step_channel_and_revision(doubtful: Desk) -> None:
    assert doubtful.doubts.in_doubt(OUTREACH, "update-1", "sms") == []
    assert doubtful.doubts.in_doubt(OUTREACH, "initial", "email") == []
    assert doubtful.doubts.in_doubt("outreach/other", "initial", "sms") == []
    assert len(ids(doubtful, revision=1)) == 6
    assert ids(doubtful, revision=2) == []


def test_in_doubt_brings_what_a_look_up_needs(doubtful: Desk) -> None:
    send = doubtful.doubts.in_doubt(OUTREACH, "initial", "sms")[0]
    assert (send.adapter, send.intent_at) == ("fake", NOON)
    assert send.address == f"+1555{int(send.recipient.customer[2:]):07d}"


def test_doubt_stays_visible_when_the_address_is_gone(doubtful: Desk) -> None:
    with doubtful.database.write() as session:
        session.execute(delete(ContactPointRow))
    assert [send.address for send in doubtful.doubts.in_doubt(OUTREACH, "initial", "sms")] == [""] * 6


def test_doubt_is_resolved_once(doubtful: Desk) -> None:
    send = ids(doubtful)[0]
    assert doubtful.doubts.resolve([found(send)], now=NOON + HOUR) == 1
    assert doubtful.doubts.resolve([Settlement(id=send, state=SendState.UNKNOWN)], now=NOON) == 0
    row = next(row for row in doubtful.rows() if row.id == send)
    assert (row.state, row.provider_id, row.settled_at) == (SendState.ACCEPTED, "p-1", NOON + HOUR)


def test_provider_id_of_another_send_is_not_adopted(doubtful: Desk) -> None:
    first, second, third, *_ = ids(doubtful)
    doubtful.doubts.resolve([found(first)], now=NOON)
    assert doubtful.doubts.resolve([found(second), found(third, "p-2")], now=NOON) == 1
    assert second in ids(doubtful)
    assert third not in ids(doubtful)


def test_one_proof_resolves_one_send_of_a_list(doubtful: Desk) -> None:
    assert doubtful.doubts.resolve([found(send) for send in ids(doubtful)], now=NOON) == 1
    assert len(ids(doubtful)) == 5


def test_proof_may_belong_to_a_send_of_another_outreach(doubtful: Desk) -> None:
    other = "outreach/late_delivery/k-2/1"
    recipient = paged(doubtful.database, [candidate("c-0")], outreach=other).page(other, 1, 0)[0]
    sent = {"outreach_id": other, "revision": 1, "recipient_id": recipient.id, "customer_id": "c-0", "page": 0}
    how = {"id": "s-1", "step": "initial", "channel": "sms", "state": "delivered", "adapter": "fake"}
    with doubtful.database.write() as session:
        insert_new(session, SendRow, [{**sent, **how, "provider_id": "p-1"}])
    assert doubtful.doubts.resolve([found(ids(doubtful)[0])], now=NOON) == 0


def test_another_adapter_may_use_the_same_id(doubtful: Desk) -> None:
    first, second, *_ = ids(doubtful)
    doubtful.doubts.resolve([found(first)], now=NOON)
    with doubtful.database.write() as session:
        session.execute(update(SendRow).where(col(SendRow.id) == first).values(adapter="another"))
    assert doubtful.doubts.resolve([found(second)], now=NOON) == 1


def test_sends_without_a_provider_id_do_not_stand_in_each_others_way(doubtful: Desk) -> None:
    unknown = [Settlement(id=send, state=SendState.UNKNOWN) for send in ids(doubtful)]
    assert doubtful.doubts.resolve(unknown, now=NOON) == 6


def test_two_who_find_the_same_message_adopt_it_once(doubtful: Desk) -> None:
    first, second, *_ = ids(doubtful)
    with meeting(doubtful.database, "UPDATE sends", when="after"):
        done = at_once([lambda s=s: doubtful.doubts.resolve([found(s)], now=NOON) for s in (first, second)])  # type: ignore[misc]
    assert sorted(done) == [0, 1]


def test_receipts_are_of_one_send(doubtful: Desk) -> None:
    first, second, *_ = ids(doubtful)
    event = {"provider": "fake", "error": "", "received_at": NOON}
    with doubtful.database.write() as session:
        insert_new(
            session,
            ReceiptRow,
            [
                {**event, "send_id": first, "provider_id": "p-1", "status": "sent"},
                {**event, "send_id": second, "provider_id": "p-2", "status": "sent"},
                {**event, "send_id": first, "provider_id": "p-3", "status": "sent", "provider": "another"},
            ],
        )
    assert doubtful.doubts.receipts_of(first) == [("p-1", "sent")]


def test_steps_are_apart(doubtful: Desk) -> None:
    doubtful.open(step("update-1"), kind="initial")
    doubtful.intend(1, key=step("update-1"))
    assert len(doubtful.doubts.in_doubt(OUTREACH, "update-1", "sms")) == len(ids(doubtful)) == 6
