"""Inbound contacts, and how far they are known."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func
from sqlmodel import col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks, insert_new, table
from tellfirst.store.tables import ContactRow, RecipientRow, WatermarkRow


class Contact(Frozen):
    """Is one inbound support contact; `id` is the helpdesk's own."""

    id: str
    customer: str
    reason_code: str
    occurred_at: datetime
    channel: str = ""


class ArmCount(Frozen):
    """Counts the clusters of one arm and those that made contact about the reason in their window."""

    clusters: int
    contacted: int


class Contacts:
    """Keeps contacts and counts them by window."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, contacts: Sequence[Contact], *, source: str, through: datetime | None, now: datetime) -> int:
        """Adds contacts, all or none, and moves the source's watermark to `through`; returns how many were new."""
        with self._database.write() as session:
            new = insert_new(
                session,
                ContactRow,
                [
                    {
                        "id": c.id,
                        "customer_id": c.customer,
                        "reason_code": c.reason_code,
                        "channel": c.channel,
                        "occurred_at": c.occurred_at,
                        "imported_at": now,
                    }
                    # In one order, so that two imports of the same contacts wait for each other and never in a circle.
                    for c in sorted(contacts, key=lambda c: c.id)
                ],
            )
            if through is not None:
                insert_new(session, WatermarkRow, [{"source": source, "at": through}])
                older = (col(WatermarkRow.source) == source, col(WatermarkRow.at) < through)
                session.execute(update(WatermarkRow).where(*older).values(at=through))
        return new

    def watermark(self) -> datetime | None:
        """Returns the instant up to which the contacts of every source are here, None before the first import."""
        with self._database.read() as session:
            return min((mark.at for mark in session.exec(select(WatermarkRow))), default=None)

    def count(self, outreach: str, reason_code: str) -> dict[str, ArmCount]:
        """Counts contacts by arm over each row's own window [t0, window_end), one per account cluster."""
        row, contact = table(RecipientRow), table(ContactRow)
        made_contact = (
            select(contact.c.id)
            .where(
                contact.c.customer_id == row.c.customer_id,
                contact.c.reason_code == reason_code,
                contact.c.occurred_at >= row.c.t0,
                contact.c.occurred_at < row.c.window_end,
            )
            .exists()
        )
        units = (
            select(row.c.arm, row.c.cluster, func.max(case((made_contact, 1), else_=0)).label("contacted"))
            .where(row.c.outreach_id == outreach, row.c.arm.is_not(None))
            .group_by(row.c.arm, row.c.cluster)
            .subquery()
        )
        query = select(units.c.arm, func.count(), func.sum(units.c.contacted)).group_by(units.c.arm)
        with self._database.read() as session:
            return {arm: ArmCount(clusters=n, contacted=int(x or 0)) for arm, n, x in session.execute(query)}

    def known(self, ids: Sequence[str]) -> set[str]:
        """Returns which contacts are here already."""
        found: set[str] = set()
        with self._database.read() as session:
            for chunk in chunks(ids):
                found.update(session.exec(select(ContactRow.id).where(col(ContactRow.id).in_(chunk))))
        return found
