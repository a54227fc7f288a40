"""Erasure: nothing of the customer is left in any table, and everything that was signed can still be recomputed."""

from pathlib import Path

import pytest
from sqlmodel import SQLModel, col, select, update

from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import SendState
from tellfirst.errors import NotFoundError
from tellfirst.signing.audience import page_digest
from tellfirst.signing.leaves import leaf_of
from tellfirst.store.accounts import Accounts
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.decisions import differences
from tellfirst.store.doubts import Settlement
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure, unexplained
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_contacts import MergeRow
from tellfirst.store.tables_exceptions import BudgetRow, ExceptionRow
from tellfirst.store.windows import Windows
from tests.store.desk import Desk, step
from tests.store.make import DAY, HOUR, NOON, OUTREACH

SECRETS = ("'c-1'", "Zoe", "+15550000042", "Lisbon", "1 Secret Street", "a-c-1")


def everything(database: Database) -> str:
    with database.read() as session:
        tables = [str(list(session.execute(table.select()))) for table in SQLModel.metadata.sorted_tables]
    return "\n".join(tables)


@pytest.fixture
def anchored(database: Database, tmp_path: Path) -> Database:
    return Database(database.engine, anchor=tmp_path / "audit.anchor")


@pytest.fixture
def known(anchored: Database) -> Desk:
    """Is an outreach that told six customers, one of whom we know much of."""
    desk = Desk(anchored)
    zoe = CustomerRecord(
        id="c-1", first_name="Zoe", timezone="Europe/Lisbon", addresses={"sms": "+15550000042"}, opted_out=("email",)
    )
    Customers(anchored).save([zoe], now=NOON, source="test")
    call = Contact(id="t-1", customer="c-1", reason_code="where_is_my_order", occurred_at=NOON + HOUR)
    for reason in ("where_is_my_order", "lost_parcel"):
        told = call.model_copy(update={"reason_code": reason})
        Contacts(anchored).save([told], source="desk", through=NOON + DAY, now=NOON + DAY)
    with anchored.write() as session:
        row = session.exec(select(RecipientRow).where(RecipientRow.customer_id == "c-1")).one()
        row.facts, row.timezone = {"street": "1 Secret Street"}, "Europe/Lisbon"
        session.add(row)
    other = Condition(
        trigger="late_delivery",
        key="k-2",
        episode=1,
        detected_at=NOON,
        subjects=(Subject(key="o-9", customer="c-1", facts={"street": "1 Secret Street"}),),
    )
    Outreaches(anchored).claim("outreach/late_delivery/k-2/1", other, run="run-2", now=NOON)
    with anchored.write() as session:
        budget = "customer/c-1/goodwill_credit/EUR/2026"
        session.add(BudgetRow(key=budget, reserved=0, consumed=500))
        session.add(
            ExceptionRow(
                id="x-1",
                first_run="r",
                outreach_id=OUTREACH,
                revision=1,
                customer_id="c-1",
                kind="goodwill_credit",
                amount_minor=500,
                currency="EUR",
                requester="ben",
                status="granted",
                customer_budget=budget,
                opened_at=NOON,
                decide_by=NOON + DAY,
                closed_at=None,
            )
        )
    desk.deliver({f"c-{n}": SendState.ACCEPTED for n in range(6)})
    return desk


def page(desk: Desk) -> str:
    return page_digest([leaf_of(row, row.content_digest) for row in desk.recipients.page(OUTREACH, 1, 0)])


def faults(database: Database) -> list[str]:
    return Chain(database).faults(differences, unexplained)


def test_nothing_of_a_customer_is_left_and_what_was_signed_still_holds(known: Desk, anchored: Database) -> None:
    before, counted = page(known), Windows(anchored).count(OUTREACH)
    assert all(secret in everything(anchored) for secret in SECRETS)
    assert Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY) == 1
    after = everything(anchored)
    assert [secret for secret in SECRETS if secret in after] == []
    assert "customer/c-1/" not in after
    assert "customer/forgotten-1/goodwill_credit/EUR/2026" in after
    assert page(known) == before
    assert Windows(anchored).count(OUTREACH) == counted
    assert faults(anchored) == []
    last = Chain(anchored).head()
    assert last is not None
    assert (last.kind, last.about, last.actor, last.facts["rows"]) == ("customer_forgotten", "forgotten-1", "ana", 1)


def test_the_opt_out_stays_with_what_was_sent(known: Desk, anchored: Database) -> None:
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    forgotten = Customers(anchored).resolve(["forgotten-1"])["forgotten-1"]
    assert (forgotten.first_name, forgotten.timezone, forgotten.addresses) == (None, None, {})
    assert [c.channel for c in forgotten.consents] == ["email"]
    assert not Customers(anchored).exists("c-1")


def test_what_was_still_to_be_sent_is_withheld(known: Desk, anchored: Database) -> None:
    known.open(step("update-1"), kind="update")
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    with anchored.read() as session:
        mine = session.exec(select(SendRow).where(SendRow.customer_id == "forgotten-1").order_by(col(SendRow.step)))
        assert [(s.step, s.state, s.reason) for s in mine] == [
            ("initial", "accepted", ""),
            ("update-1", "withheld", "forgotten"),
        ]


def test_a_message_in_flight_is_settled_and_leaves_no_digest_of_its_text(known: Desk, anchored: Database) -> None:
    key = step("update-1")
    token = known.open(key, kind="update")
    known.intend(token, key=key)
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    sends = {row.customer_id: row.id for row in known.rows(key)}
    done = [Settlement(id=send, state=SendState.ACCEPTED) for send in sends.values()]
    known.sends.settle(key, token, done, dict.fromkeys(sends.values(), "d" * 64), now=NOON + DAY)
    settled = {row.customer_id: (row.state, row.body_digest) for row in known.rows(key)}
    assert settled.pop("forgotten-1") == ("accepted", "")
    assert set(settled.values()) == {("accepted", "d" * 64)}


def test_an_opt_out_that_comes_after_the_erasure_stops_nothing(known: Desk, anchored: Database) -> None:
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    Consents(anchored).opt_out(["c-1", "c-2"], channel="sms", at=NOON + DAY, source="provider")
    assert "'c-1'" not in everything(anchored)
    assert [c.channel for c in Customers(anchored).resolve(["c-2"])["c-2"].consents] == ["*"]


def test_who_comes_back_after_the_erasure_is_forgotten_again(known: Desk, anchored: Database) -> None:
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    call = Contact(id="t-2", customer="c-1", reason_code="where_is_my_order", occurred_at=NOON + DAY)
    Contacts(anchored).save([call], source="desk", through=NOON + 2 * DAY, now=NOON + 2 * DAY)
    assert Erasure(anchored).forget("c-1", "forgotten-2", by="ana", at=NOON + 2 * DAY) == 0
    assert "'c-1'" not in everything(anchored)
    assert faults(anchored) == []


def test_a_source_that_still_names_the_forgotten_does_not_bring_them_back(known: Desk, anchored: Database) -> None:
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    call = Contact(id="t-1", customer="c-1", reason_code="refund", occurred_at=NOON + HOUR)
    saved = Contacts(anchored).save([call], source="desk", through=None, now=NOON + 2 * DAY)
    assert (saved.corrected, saved.known) == (1, 0)
    assert "'c-1'" not in everything(anchored)


def test_an_account_that_was_merged_is_forgotten_with_its_customer(known: Desk, anchored: Database) -> None:
    Accounts(anchored).merge("c-1", "c-2", by="ana", now=NOON + DAY)
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    assert "'c-1'" not in everything(anchored)
    with anchored.read() as session:
        (merge,) = session.exec(select(MergeRow))
        drawn = select(RecipientRow.cluster).where(RecipientRow.customer_id == "forgotten-1")
        assert (merge.old, merge.into) == (session.exec(drawn).one(), "c-2")


def test_a_stranger_cannot_be_forgotten(anchored: Database) -> None:
    with pytest.raises(NotFoundError, match="nothing is known of that customer"):
        Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON)
    assert Chain(anchored).entries() == []


def test_a_household_keeps_its_name_while_others_live_there(known: Desk, anchored: Database) -> None:
    Customers(anchored).save([CustomerRecord(id="c-7", cluster="c-1", addresses={})], now=NOON, source="test")
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    assert Customers(anchored).resolve(["forgotten-1"])["forgotten-1"].cluster == "c-1"


@pytest.mark.parametrize("customer", ["c-2", "forgotten-1"])
def test_a_leaf_that_no_erasure_explains_is_found(known: Desk, anchored: Database, customer: str) -> None:
    """Or whoever writes to the database could change a row and keep its leaf."""
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=NOON + DAY)
    assert faults(anchored) == []
    with anchored.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == customer).values(leaf="f" * 64))
    assert faults(anchored) == ["audit log: 1 erasures are not as they were written down"]
