"""What happened to each customer: whole, customer by customer, and only where a customer is named."""

from datetime import timedelta
from itertools import groupby

from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.events import Events, Happened
from tellfirst.store.histories import Extent, Histories
from tests.store.make import DAY, NOON


def test_an_empty_database_has_no_history(database: Database) -> None:
    histories = Histories(database)
    assert histories.extent() == Extent(0, 0, None, None)
    assert list(histories.each()) == []


def test_contacts_and_events_come_together_by_customer(database: Database) -> None:
    customers = ["b", "A", "a-1", "é", "Z"]  # orders in which databases differ
    Contacts(database).save(
        [
            Contact(id=f"{n}-{c}", customer=c, reason_code=f"r-{n}", occurred_at=NOON + n * DAY)
            for n in range(3)
            for c in customers
        ],
        source="desk",
        through=None,
        now=NOON,
    )
    Events(database).keep(
        [
            Happened(source="shop", id=f"e-{c}", type="late", customer=c, occurred_at=NOON - DAY, data={})
            for c in [*customers, "only events", None]
        ],
        now=NOON,
    )
    histories = Histories(database)
    assert histories.extent() == Extent(15, 6, (NOON, NOON + 2 * DAY), (NOON - DAY, NOON - DAY))
    grouped = [
        (customer, sorted((h.at, h.name, h.is_event) for h in happenings))
        for customer, happenings in groupby(histories.each(), key=lambda h: h.customer)
    ]
    assert sorted(customer for customer, _ in grouped) == sorted([*customers, "only events"])
    for customer, happened in grouped:
        called = [(NOON + n * DAY, f"r-{n}", False) for n in range(3)] if customer != "only events" else []
        assert happened == [(NOON - timedelta(days=1), "late", True), *called]
