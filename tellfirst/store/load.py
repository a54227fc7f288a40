"""What people did: their decisions with what they waited for, exceptions asked for, escalations taken."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.domain.load import Acknowledged, Decided, Duties
from tellfirst.store.engine import Database
from tellfirst.store.tables import DecisionRow, MatterRow, RevisionRow
from tellfirst.store.tables_escalations import EscalationRow
from tellfirst.store.tables_exceptions import ExceptionRow

EXCEPTION = "exception/"


class Load:
    """Reads what people did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def duties(self, *, since: datetime | None = None) -> Duties:
        """Returns what was decided, asked for and escalated from `since` on; None is from the beginning."""
        with self._database.read() as session:
            asked = select(col(ExceptionRow.requester)).where(*_from(ExceptionRow.opened_at, since))
            escalated = select(EscalationRow).where(*_from(EscalationRow.opened_at, since))
            return Duties(
                decisions=tuple(_decided(session, since)),
                escalations=tuple(
                    Acknowledged(
                        person=row.acknowledged_by, opened_at=row.opened_at, acknowledged_at=row.acknowledged_at
                    )
                    for row in session.scalars(escalated)
                ),
                requests=tuple(session.scalars(asked)),
            )


def _decided(session: Session, since: datetime | None) -> list[Decided]:
    # Of a revision it waited since it was planned, of anything else since it was opened.
    query = (
        select(
            col(DecisionRow.approver),
            col(DecisionRow.decision),
            col(DecisionRow.about),
            func.coalesce(RevisionRow.planned_at, ExceptionRow.opened_at, MatterRow.opened_at),
            col(DecisionRow.received_at),
        )
        .join(
            RevisionRow,
            (col(RevisionRow.outreach_id) == col(DecisionRow.about))
            & (col(RevisionRow.number) == col(DecisionRow.revision)),
            isouter=True,
        )
        .join(MatterRow, col(MatterRow.about) == col(DecisionRow.about), isouter=True)
        .join(ExceptionRow, EXCEPTION + col(ExceptionRow.id) == col(DecisionRow.about), isouter=True)
        .where(col(DecisionRow.accepted), *_from(DecisionRow.received_at, since))
    )
    return [
        Decided(person=person, decision=decision, exception=about.startswith(EXCEPTION), since=waiting, at=at)
        for person, decision, about, waiting, at in session.execute(query)
    ]


def _from(column: Any, since: datetime | None) -> list[Any]:
    return [] if since is None else [col(column) >= since]
