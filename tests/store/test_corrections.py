"""Contacts that are told otherwise later: the last word counts, what was said before is kept, and once is enough."""

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from tellfirst.store import contacts
from tellfirst.store.contacts import Contact, Contacts, Saved
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_contacts import ContactVersionRow
from tests.store.make import DAY, HOUR, NOON, at_once, meeting

LATER = NOON + DAY
STORE = Path(contacts.__file__).parent
CALL = Contact(id="t-1", customer="c-1", reason_code="late", occurred_at=NOON, channel="phone")


def tell(database: Database, *told: Contact, source: str = "desk", now: datetime = LATER) -> Saved:
    return Contacts(database).save(told, source=source, through=None, now=now)


def otherwise(**change: Any) -> Contact:
    return CALL.model_copy(update=change)


def here(database: Database) -> list[ContactRow]:
    with database.read() as session:
        return list(session.exec(select(ContactRow).order_by(ContactRow.source, ContactRow.id)))


def before(database: Database) -> list[ContactVersionRow]:
    with database.read() as session:
        return list(session.exec(select(ContactVersionRow).order_by(col(ContactVersionRow.version))))


@pytest.mark.parametrize(
    "change",
    [
        {"customer": "c-2"},
        {"reason_code": "refund"},
        {"occurred_at": NOON + HOUR},
        {"channel": "chat"},
        {"handle_seconds": 600},
        {"resolved_at": NOON + HOUR},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_values_replace_those_that_are_kept(database: Database, change: dict[str, Any]) -> None:
    tell(database, CALL, now=NOON)
    assert tell(database, otherwise(**change)) == Saved(corrected=1)
    assert tell(database, otherwise(**change), now=LATER + HOUR) == Saved(known=1)
    ((row,), (old,)) = here(database), before(database)
    name = {"customer": "customer_id"}.get(field := next(iter(change)), field)
    assert (getattr(row, name), getattr(old, name)) == (change[field], getattr(CALL, field))
    assert (row.version, old.version, old.cause) == (2, 1, "corrected")
    assert (old.imported_at, old.replaced_at, row.imported_at) == (NOON, LATER, LATER)


def test_what_is_left_unsaid_stays(database: Database) -> None:
    full = otherwise(handle_seconds=600, resolved_at=NOON + HOUR)
    tell(database, full)
    assert tell(database, otherwise(channel="")) == Saved(known=1)
    assert [(row.channel, row.handle_seconds, row.version) for row in here(database)] == [("phone", 600, 1)]


def test_corrections_go_on_and_back(database: Database) -> None:
    for number, reason in enumerate(["late", "refund", "late", "late", "refund"]):
        tell(database, otherwise(reason_code=reason), now=NOON + number * HOUR)
    assert [(old.version, old.reason_code) for old in before(database)] == [(1, "late"), (2, "refund"), (3, "late")]
    assert [(row.version, row.reason_code) for row in here(database)] == [(4, "refund")]


def test_of_one_post_the_last_word_counts(database: Database) -> None:
    assert tell(database, CALL, otherwise(reason_code="refund")) == Saved(new=1)
    assert [(row.reason_code, row.version) for row in here(database)] == [("refund", 1)]


def test_the_same_id_of_another_source_is_another_contact(database: Database) -> None:
    tell(database, CALL)
    assert tell(database, otherwise(reason_code="refund"), source="phone") == Saved(new=1)
    assert [(row.source, row.reason_code) for row in here(database)] == [("desk", "late"), ("phone", "refund")]


def test_what_is_withdrawn_goes_and_stays_away(database: Database) -> None:
    tell(database, CALL, now=NOON)
    assert tell(database, otherwise(withdrawn=True)) == Saved(withdrawn=1)
    assert tell(database, otherwise(withdrawn=True), otherwise()) == Saved(known=1)
    assert here(database) == []
    assert [(old.version, old.cause, old.replaced_at) for old in before(database)] == [(1, "withdrawn", LATER)]


def test_what_was_withdrawn_may_stand_after_all(database: Database) -> None:
    for withdrawn in (None, True, False, False, True, False):
        tell(database, otherwise(withdrawn=withdrawn))
    assert [old.version for old in before(database)] == [1, 2]
    assert [row.version for row in here(database)] == [3]


def test_a_withdrawal_may_come_before_what_it_takes_back(database: Database) -> None:
    assert tell(database, otherwise(withdrawn=True)) == Saved(withdrawn=1)
    assert tell(database, CALL) == Saved(known=1)
    assert here(database) == []


def test_two_corrections_at_once_are_two_versions(database: Database) -> None:
    tell(database, CALL)
    with meeting(database, "SELECT contacts.source", when="after"):
        told = [partial(tell, database, otherwise(reason_code=reason)) for reason in ("refund", "broken")]
        saved = at_once(told)
    assert sum(one.corrected for one in saved) == 2
    assert [old.version for old in before(database)] == [1, 2]


def test_a_contact_keeps_the_account_it_came_with(database: Database) -> None:
    customers = Customers(database)
    for cluster in ("home", "flat"):
        customers.save([CustomerRecord(id="c-1", cluster=cluster, addresses={})], now=NOON, source="test")
        tell(database, CALL)
        assert [row.cluster for row in here(database)] == ["home"]
    tell(database, otherwise(reason_code="refund"))
    assert [row.cluster for row in here(database)] == ["home"]
    tell(database, otherwise(id="t-2"))
    assert {row.id: row.cluster for row in here(database)} == {"t-1": "home", "t-2": "flat"}


def test_a_corrected_customer_brings_their_account(database: Database) -> None:
    Customers(database).save([CustomerRecord(id="c-2", cluster="home", addresses={})], now=NOON, source="test")
    tell(database, CALL)
    tell(database, otherwise(customer="c-2"))
    assert [(row.customer_id, row.cluster) for row in here(database)] == [("c-2", "home")]
    assert [(old.customer_id, old.cluster) for old in before(database)] == [("c-1", "c-1")]


def test_contacts_of_a_stranger_count_for_the_account_they_turn_out_to_belong_to(database: Database) -> None:
    tell(database, CALL, otherwise(id="t-2", customer="c-2"))
    one = CustomerRecord(id="c-1", cluster="home", addresses={})
    Customers(database).save([one], now=NOON, source="test")
    assert {row.customer_id: row.cluster for row in here(database)} == {"c-1": "home", "c-2": "c-2"}


def test_our_own_reasons_are_not_mapped(database: Database) -> None:
    tell(database, CALL, source="exceptions")
    assert [(row.given_code, row.reason_code) for row in here(database)] == [(None, "late")]


def test_contacts_are_written_in_one_place() -> None:
    """Or a writer would forget the account, the mapping, or what was said before."""
    writes = re.compile(r"(insert|insert_new|delete)\((session, )?ContactRow|[^s] ContactRow\(|= ContactRow\(")
    assert [path.name for path in STORE.glob("*.py") if writes.search(path.read_text())] == ["contacts.py"]
