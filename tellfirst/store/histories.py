"""What happened to each customer: operational events and contacts, customer by customer."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, literal, select, union_all

from tellfirst.store.engine import Database
from tellfirst.store.statements import table
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_arrivals import EventRow

PART = 5_000
"""Rows fetched at once."""

Period = tuple[datetime, datetime] | None


class Happening(NamedTuple):
    """Is a contact with its reason, or an event with its type."""

    customer: str
    at: datetime
    name: str
    is_event: bool


class Extent(NamedTuple):
    """Is how many contacts and events there are, and in which period; events count that name a customer."""

    contacts: int
    events: int
    contacts_period: Period
    events_period: Period


class Histories:
    """Reads contacts beside events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def extent(self) -> Extent:
        """Returns the extent of what is recorded."""
        contact, event = table(ContactRow).c, table(EventRow).c
        with self._database.read() as session:
            contacts, first, last = session.execute(
                select(func.count(), func.min(contact.occurred_at), func.max(contact.occurred_at))
            ).one()
            known = event.customer_id.is_not(None)
            events, begin, end = session.execute(
                select(func.count(), func.min(event.occurred_at), func.max(event.occurred_at)).where(known)
            ).one()
        return Extent(contacts, events, (first, last) if contacts else None, (begin, end) if events else None)

    def each(self) -> Iterator[Happening]:
        """Yields everything that happened, one customer after the other; a part at a time is in memory."""
        contact, event = table(ContactRow).c, table(EventRow).c
        both = union_all(
            select(contact.customer_id.label("customer"), contact.occurred_at, contact.reason_code, literal(False)),
            select(event.customer_id, event.occurred_at, event.type, literal(True)).where(
                event.customer_id.is_not(None)
            ),
        ).order_by("customer")
        with self._database.read() as session:
            for customer, at, name, is_event in session.execute(both.execution_options(yield_per=PART)):
                yield Happening(customer, at, name, bool(is_event))
