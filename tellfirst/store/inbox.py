"""The in-app inbox: what was delivered within our own walls, and what the customer did with it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, func
from sqlmodel import col, delete, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Outbound
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, insert_new
from tellfirst.store.tables import CustomerRow
from tellfirst.store.tables_inbox import InboxRow

Status = Literal["all", "unseen", "unread", "archived"]
"""Which items are listed; `all` are those that are not archived."""
Mark = Literal["seen", "read", "clicked", "archived"]
"""What a customer may do with an item."""
IMPLIED: dict[Mark, tuple[Mark, ...]] = {
    "seen": ("seen",),
    "read": ("seen", "read"),
    "clicked": ("seen", "read", "clicked"),
    "archived": ("archived",),
}


class InboxItem(Frozen):
    """Is one message of an inbox; each instant is the first time that it happened."""

    id: int
    subject: str
    body: str
    locale: str
    created_at: datetime
    seen_at: datetime | None
    read_at: datetime | None
    clicked_at: datetime | None
    archived_at: datetime | None


class Standing(Frozen):
    """Counts what an inbox shows; `latest` is the id of its newest item, 0 for none."""

    latest: int
    total: int
    unseen: int
    unread: int

    @property
    def cursor(self) -> str:
        """Returns a name of this standing, which another one does not have."""
        return f"{self.latest}.{self.total}.{self.unseen}.{self.unread}"


class Inbox:
    """Keeps the items of all customers; `keep` is how long one stays after its message was due."""

    def __init__(self, database: Database, keep: timedelta) -> None:
        self._database, self._keep = database, keep

    def deliver(self, messages: Sequence[Outbound], *, now: datetime) -> set[str]:
        """Puts messages into the inboxes of their customers and returns the send ids of those that are there now.

        A message that is there already stays as it is; one that is too late, or to a customer who is not known, is
        left out.
        """
        with self._database.write() as session:
            # An item with a lower id is there first, so that whoever has seen an id has seen all before it.
            alone(session, "inbox")
            wanted = {message.customer for message in messages}
            # Locked: one who is forgotten meanwhile is gone from here, or their items are deleted with them.
            known = set(
                session.exec(
                    select(CustomerRow.id)
                    .where(col(CustomerRow.id).in_(wanted))
                    .with_for_update(read=True, key_share=True)
                )
            )
            rows = [
                {
                    "send_id": message.send_id,
                    "customer_id": message.customer,
                    "subject": message.rendered.subject,
                    "body": message.rendered.body,
                    "locale": message.locale,
                    "created_at": now,
                    "expires_at": message.not_after + self._keep,
                }
                for message in messages
                if message.customer in known and message.not_after > now
            ]
            insert_new(session, InboxRow, rows)
            sends = [message.send_id for message in messages]
            return set(session.exec(select(InboxRow.send_id).where(col(InboxRow.send_id).in_(sends))))

    def tidy(self, *, now: datetime) -> None:
        """Deletes what has expired."""
        with self._database.write() as session:
            session.execute(delete(InboxRow).where(col(InboxRow.expires_at) <= now))

    def standing_of(self, send: str) -> str:
        """Returns what became of a send, in the word of a receipt; empty when it is in no inbox."""
        with self._database.read() as session:
            row = session.exec(select(InboxRow).where(InboxRow.send_id == send)).first()
        if row is None:
            return ""
        return "read" if row.read_at else "delivered" if row.seen_at else "accepted"

    def items(
        self, customer: str, *, status: Status, now: datetime, limit: int, before: int | None = None
    ) -> list[InboxItem]:
        """Returns the items of a customer, the newest first, from below the id `before` on."""
        query = select(InboxRow).where(*_shown(customer, now), _of_status(status))
        if before is not None:
            query = query.where(col(InboxRow.id) < before)
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(InboxRow.id).desc()).limit(limit))
            return [InboxItem.model_validate(row.model_dump()) for row in rows]

    def standing(self, customer: str, *, now: datetime) -> Standing:
        """Returns what the inbox of a customer counts now."""
        query = select(
            func.max(InboxRow.id),
            func.count(),
            func.count().filter(col(InboxRow.seen_at).is_(None)),
            func.count().filter(col(InboxRow.read_at).is_(None)),
        ).where(*_shown(customer, now), col(InboxRow.archived_at).is_(None))
        with self._database.read() as session:
            latest, total, unseen, unread = session.exec(query).one()
        return Standing(latest=latest or 0, total=total, unseen=unseen, unread=unread)

    def mark(self, customer: str, item: int | None, mark: Mark, *, now: datetime) -> list[str]:
        """Marks one item of a customer, or with None all that have not been seen; returns their send ids.

        The first time counts, and nothing is undone: whoever has read has seen. An empty list says that there is no
        such item.
        """
        chosen = [*_shown(customer, now)]
        chosen.append(col(InboxRow.seen_at).is_(None) if item is None else col(InboxRow.id) == item)
        first = {f"{name}_at": func.coalesce(getattr(InboxRow, f"{name}_at"), now) for name in IMPLIED[mark]}
        with self._database.write() as session:
            done = session.execute(update(InboxRow).where(*chosen).values(**first).returning(col(InboxRow.send_id)))
            return list(done.scalars())


def _shown(customer: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(InboxRow.customer_id) == customer, col(InboxRow.expires_at) > now


def _of_status(status: Status) -> ColumnElement[bool]:
    match status:
        case "archived":
            return col(InboxRow.archived_at).is_not(None)
        case "unseen":
            return col(InboxRow.archived_at).is_(None) & col(InboxRow.seen_at).is_(None)
        case "unread":
            return col(InboxRow.archived_at).is_(None) & col(InboxRow.read_at).is_(None)
        case "all":
            return col(InboxRow.archived_at).is_(None)
