"""Where contacts come from: how far each source says that it is complete, and how much of it was corrected."""

from datetime import datetime

from sqlmodel import func, select

from tellfirst.domain.base import Frozen
from tellfirst.store.contacts import CORRECTED, MAPPED, WITHDRAWN
from tellfirst.store.engine import Database
from tellfirst.store.tables import ContactRow, WatermarkRow
from tellfirst.store.tables_contacts import ContactVersionRow


class SourceRecord(Frozen):
    """Is one source of contacts.

    `through` is how far it is complete, None when it never said so and no window waits for it; `heard` when it last
    sent anything. `corrected` counts what it told otherwise later, `withdrawn` what it took back, `mapped` what a
    mapping of its codes changed.
    """

    source: str
    through: datetime | None
    heard: datetime | None
    contacts: int
    corrected: int
    withdrawn: int
    mapped: int


class Sources:
    """Reads the sources of contacts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[SourceRecord, ...]:
        """Returns every source, the one farthest behind first."""
        contacts = select(ContactRow.source, func.count()).group_by(ContactRow.source)
        before = select(ContactVersionRow.source, ContactVersionRow.cause, func.count())
        with self._database.read() as session:
            counts = dict(session.exec(contacts).all())
            marks = {mark.source: mark for mark in session.exec(select(WatermarkRow))}
            of = before.group_by(ContactVersionRow.source, ContactVersionRow.cause)
            changes = {(source, cause): count for source, cause, count in session.exec(of)}
        found = [
            SourceRecord(
                source=source,
                through=marks[source].at if source in marks else None,
                heard=marks[source].heard_at if source in marks else None,
                contacts=counts.get(source, 0),
                **{cause: changes.get((source, cause), 0) for cause in (CORRECTED, WITHDRAWN, MAPPED)},
            )
            for source in {*counts, *marks, *(source for source, _ in changes)}
        ]
        return tuple(sorted(found, key=lambda one: (one.through is None, one.through, one.source)))
