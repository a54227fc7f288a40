"""Escalations as they stand: what needs a person, how far it has climbed, and who is on it."""

from datetime import datetime

from sqlmodel import col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import EscalationRaised
from tellfirst.store.engine import Database
from tellfirst.store.tables_escalations import EscalationRow
from tellfirst.store.telling import tell


class EscalationRecord(Frozen):
    """Is one escalation: it stands at `level` of `levels` and waits for `waiting_on`, who was told last or is on it."""

    id: str
    about: str
    kind: str
    text: str
    level: int
    levels: int
    waiting_on: str
    opened_at: datetime
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    ended_at: datetime | None = None


class Escalations:
    """Keeps escalations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, record: EscalationRecord, *, at: datetime) -> None:
        """Keeps how an escalation stands now; other systems are told of each level it reaches."""
        with self._database.write() as session:
            session.merge(EscalationRow(**record.model_dump()))
            if record.level:
                tell(session, EscalationRaised.model_validate({**record.model_dump(), "escalation": record.id}), at=at)

    def of(self, about: str) -> list[EscalationRecord]:
        """Returns the escalations of one workflow in the order they were opened."""
        return self._read(col(EscalationRow.about) == about)

    def open(self) -> list[EscalationRecord]:
        """Returns all that still need a person, the oldest first."""
        return self._read(col(EscalationRow.ended_at).is_(None))

    def _read(self, chosen: object) -> list[EscalationRecord]:
        query = select(EscalationRow).where(chosen)  # type: ignore[arg-type]
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(EscalationRow.opened_at), col(EscalationRow.id)))
            return [EscalationRecord(**row.model_dump()) for row in rows]
