"""Arrivals: what was acknowledged and is then worked off, until it is done, by whichever process comes to it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, delete, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables_arrivals import ArrivalRow


class Arrival(Frozen):
    """Is one post to work off; `attempts` counts this one too."""

    id: int
    source: str
    key: str
    body: dict[str, Any]
    attempts: int


class Arrivals:
    """Keeps posts until they are done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, source: str, key: str, body: Mapping[str, Any], *, now: datetime) -> bool:
        """Keeps a post and returns whether it is new; the same `key` of a source again changes nothing."""
        with self._database.write() as session:
            return keep(session, source, key, body, now=now)

    def claim(self, source: str, *, now: datetime, within: timedelta) -> Arrival | None:
        """Takes the post of a source that is due for longest; nobody else takes it `within` that time."""
        due = col(ArrivalRow.source) == source, col(ArrivalRow.done_at).is_(None), col(ArrivalRow.next_at) <= now
        with self._database.read() as session:  # nothing is written while nothing is due
            if session.exec(select(ArrivalRow.id).where(*due).limit(1)).first() is None:
                return None
        with self._database.write() as session:
            query = select(ArrivalRow).where(*due).order_by(col(ArrivalRow.next_at), col(ArrivalRow.id)).limit(1)
            row = session.exec(query.with_for_update(skip_locked=True)).first()
            if row is None or row.id is None:
                return None
            row.next_at, row.attempts = now + within, row.attempts + 1
            session.add(row)
            return Arrival(id=row.id, source=row.source, key=row.key, body=row.body, attempts=row.attempts)

    def later(self, id_: int, *, at: datetime, error: str) -> None:
        """Says when a post is tried again, and why it is not done."""
        with self._database.write() as session:
            session.execute(update(ArrivalRow).where(col(ArrivalRow.id) == id_).values(next_at=at, error=error))

    def done(self, id_: int, *, at: datetime, error: str = "") -> None:
        """Says that nothing more is to be done, or that nothing can be; what was posted is dropped."""
        with self._database.write() as session:
            ended = update(ArrivalRow).where(col(ArrivalRow.id) == id_)
            session.execute(ended.values(done_at=at, error=error, body={}))

    def waiting(self) -> int:
        """Returns how many posts are not done."""
        with self._database.read() as session:
            return len(session.exec(select(ArrivalRow.id).where(col(ArrivalRow.done_at).is_(None))).all())

    def forget(self, *, before: datetime) -> int:
        """Deletes posts that were done before an instant and returns how many; then they would count as new."""
        with self._database.write() as session:
            gone = session.execute(delete(ArrivalRow).where(col(ArrivalRow.done_at) < before))
            return int(gone.rowcount)  # type: ignore[attr-defined]


def keep(session: Session, source: str, key: str, body: Mapping[str, Any], *, now: datetime) -> bool:
    """Keeps a post within the session's transaction, beside what belongs to it; returns whether it is new."""
    row = {
        "source": source,
        "key": key,
        "body": dict(body),
        "received_at": now,
        "next_at": now,
        "done_at": None,
        "attempts": 0,
        "error": "",
    }
    return insert_new(session, ArrivalRow, [row]) == 1
