"""Intents: what leaves is judged on facts of now, and written down before it does."""

from datetime import timedelta

import pytest
from sqlmodel import col, update

from tellfirst.domain.message import SendState
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.verdict import ALLOW, Verdict, withhold
from tellfirst.store.consents import Consents
from tellfirst.store.controls import Controls
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.gate_facts import Switches
from tellfirst.store.leases import FencedOffError
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.sends import PlannedSend
from tellfirst.store.tables import RecipientRow, SendRow
from tests.store.desk import INITIAL, LEASE, TERMINAL, Desk
from tests.store.make import DAY, NOON, OUTREACH, candidate, claim, paged


def test_verdicts_are_written_with_their_reasons(desk: Desk) -> None:
    token = desk.open()
    first, second, *_ = sends = desk.sends.planned(INITIAL, 3)

    def judge(_: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict]:
        return {id_: withhold("opted_out") if id_ == second.id else ALLOW for id_ in rows}

    leaving = desk.intend(token, sends, judge=judge)
    assert leaving == {sends[0].id: "+15550000000", sends[2].id: "+15550000002"}
    rows = {row.id: row for row in desk.rows()}
    row = rows[first.id]
    assert (row.state, row.token, row.attempts, row.nonce, row.adapter) == (SendState.INTENT, token, 1, "n-1", "fake")
    assert (row.intent_at, row.not_after) == (NOON, NOON + DAY)
    assert (rows[second.id].state, rows[second.id].reason) == (SendState.WITHHELD, "opted_out")
    assert len(desk.sends.planned(INITIAL, 9)) == 3


def test_halted_page_changes_no_row(desk: Desk) -> None:
    token = desk.open()
    before = desk.rows()
    assert desk.intend(token, judge=lambda *_: "pause_all") == "pause_all"
    assert desk.rows() == before


def test_failed_judgement_writes_nothing(desk: Desk) -> None:
    token = desk.open()
    before = desk.rows()

    def judge(_: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict]:
        return {id_: withhold("too_late") for id_ in list(rows)[:-1]}

    with pytest.raises(KeyError):
        desk.intend(token, judge=judge)
    assert desk.rows() == before


@pytest.mark.parametrize("state", [*TERMINAL, SendState.INTENT])
def test_send_that_is_no_longer_planned_does_not_leave(desk: Desk, state: SendState) -> None:
    token = desk.open()
    sends = desk.sends.planned(INITIAL, 2)
    desk.set_state(sends[0].id, state)
    assert desk.intend(token, sends) == {sends[1].id: "+15550000001"}
    assert desk.rows()[0].state == state


def test_no_worker_sends_what_another_has(desk: Desk) -> None:
    first = desk.open()
    sends = desk.sends.planned(INITIAL, 9)
    second = desk.take(late=LEASE)
    assert len(desk.intend(second, sends)) == 6
    with pytest.raises(FencedOffError):
        desk.intend(first, sends)
    assert {row.token for row in desk.rows()} == {second}


def test_facts_are_those_of_now(desk: Desk) -> None:
    token = desk.open()
    seen: dict[str, RowFacts] = {}
    asked: dict[str, str | None] = {}
    Consents(desk.database, everything=False).opt_out(["c-1"], channel="sms", at=NOON, source="test")
    desk.customers.mark_unusable({"c-2": "sms"})
    whose = desk.whose()

    def judge(_: Switches, rows: dict[str, RowFacts]) -> str:
        seen.update({whose[id_]: row for id_, row in rows.items()})
        return "only looking"

    def facts(send: PlannedSend, address: str | None) -> tuple[bool, bool, bool]:
        asked[send.recipient.customer] = address
        return send.recipient.customer != "c-3", send.recipient.customer != "c-4", send.recipient.customer != "c-5"

    desk.intend(token, judge=judge, facts=facts)
    assert asked["c-0"] == seen["c-0"].address == "+15550000000"
    assert [c for c, r in seen.items() if r.consents] == ["c-1"]
    assert [c for c, r in seen.items() if not r.address_usable] == ["c-2"]
    assert [c for c, r in seen.items() if not r.condition_holds] == ["c-3"]
    assert [c for c, r in seen.items() if not r.address_unchanged] == ["c-4"]
    assert [c for c, r in seen.items() if not r.content_unchanged] == ["c-5"]
    assert all(r.reserved for r in seen.values())


def test_place_of_another_outreach_is_no_reservation(database: Database) -> None:
    desk = Desk(database, ["c-0"])
    other = "outreach/late_delivery/k-2/1"
    claim(database, other)
    paged(database, [candidate("c-0")], outreach=other)
    with database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.outreach_id) == other).values(arm="treated"))
    key = INITIAL.model_copy(update={"outreach": other})
    token = desk.open(key)
    reserved: list[bool] = []

    def judge(_: Switches, rows: dict[str, RowFacts]) -> str:
        reserved.extend(row.reserved for row in rows.values())
        return "only looking"

    desk.intend(token, key=key, judge=judge)
    assert reserved == [False]


def test_switches_are_those_of_now(desk: Desk) -> None:
    token = desk.open()
    seen: list[Switches] = []

    def judge(switches: Switches, _: dict[str, RowFacts]) -> str:
        seen.append(switches)
        return "only looking"

    desk.intend(token, judge=judge)
    controls, outreaches = Controls(desk.database), Outreaches(desk.database)
    controls.turn_on("pause-all", "incident", by="ana", at=NOON)
    controls.turn_on("channel:sms", "configuration:20003", by="sms", at=NOON)
    controls.turn_on("channel:email", "configuration:x", by="email", at=NOON)
    outreaches.hold(OUTREACH, paused=True)
    outreaches.block(OUTREACH, "provider_block:30007")
    outreaches.clear(OUTREACH, at=NOON)
    desk.intend(token, judge=judge)
    assert seen == [
        Switches(pause_all=False, paused=False, blocked="", channel_halted="", cleared=False),
        Switches(
            pause_all=True,
            paused=True,
            blocked="provider_block:30007",
            channel_halted="configuration:20003",
            cleared=True,
        ),
    ]


def test_message_goes_to_the_address_of_its_channel(desk: Desk) -> None:
    token = desk.open()
    both = CustomerRecord(id="c-0", addresses={"email": "a@example.org", "sms": "+15559", "voice": "+15558"})
    desk.customers.save([both], now=NOON, source="test")
    leaving = desk.intend(token, desk.sends.planned(INITIAL, 1))
    assert isinstance(leaving, dict)
    assert list(leaving.values()) == ["+15559"]


def test_customer_without_an_address_is_judged_and_not_sent(desk: Desk) -> None:
    token = desk.open()
    desk.customers.save([CustomerRecord(id="c-0", addresses={})], now=NOON, source="test")
    seen: list[str | None] = []

    def judge(_: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict]:
        seen.append(next(iter(rows.values())).address)
        return dict.fromkeys(rows, withhold("address_gone"))

    assert desk.intend(token, desk.sends.planned(INITIAL, 1), judge=judge) == {}
    assert seen == [None]


@pytest.mark.parametrize(("waited", "counts_from"), [(2, 2), (0, 0), (-2, 0), (3_600, 0)])
def test_a_word_that_waited_for_its_turn_is_not_older_than_what_left_meanwhile(
    desk: Desk, database: Database, waited: int, counts_from: int
) -> None:
    """No gate can have known of it; a clock far ahead of ours leaves it where it was heard."""
    customer = desk.sends.planned(INITIAL, 1)[0].recipient.customer if desk.open() else ""
    with database.write() as session:
        intent = {"state": SendState.INTENT, "intent_at": NOON + timedelta(seconds=waited)}
        session.execute(update(SendRow).where(col(SendRow.customer_id) == customer).values(**intent))
    Consents(database).opt_out([customer], channel="sms", at=NOON, source="STOP")
    (said,) = Customers(database).resolve([customer])[customer].consents
    assert not said.allowed
    assert timedelta() <= said.at - (NOON + timedelta(seconds=counts_from)) <= timedelta(microseconds=1)
    assert waited <= 0 or waited > 60 or said.at > NOON + timedelta(seconds=waited)
