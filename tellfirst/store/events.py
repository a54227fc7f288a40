"""Operational and product events, kept as another system told them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables_arrivals import EventRow


class Happened(Frozen):
    """Is one event; `source` and `id` make it one, however often it is told."""

    source: str
    id: str
    type: str
    subject: str = ""
    customer: str | None = None
    occurred_at: datetime
    data: dict[str, Any]


class Events:
    """Keeps events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, events: Sequence[Happened], *, now: datetime) -> int:
        """Adds events, all or none, and returns how many were new."""
        rows = [
            {
                "source": event.source,
                "event_id": event.id,
                "type": event.type,
                "subject": event.subject,
                "customer_id": event.customer,
                "occurred_at": event.occurred_at,
                "received_at": now,
                "data": event.data,
            }
            # In one order, so that two posts of the same events wait for each other and never in a circle.
            for event in sorted(events, key=lambda event: (event.source, event.id))
        ]
        with self._database.write() as session:
            return insert_new(session, EventRow, rows)
