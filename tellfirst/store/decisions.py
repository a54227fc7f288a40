"""Decisions as they came: accepted and refused alike."""

from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.tables import DecisionRow, RevisionRow


class DecisionRecord(Frozen):
    """Is one received decision; `envelope` is None when it could not be parsed."""

    outreach: str
    revision: int
    decision: str
    approver: str
    fingerprint: str
    accepted: bool
    code: str
    envelope: dict[str, object] | None
    received_at: datetime


class Decisions:
    """Keeps every decision that was received."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def refuse(self, record: DecisionRecord) -> None:
        """Keeps a refused decision."""
        with self._database.write() as session:
            session.add(_row(record))

    def accept(self, record: DecisionRecord, *, status: str, still_good: Callable[[DecisionRecord], bool]) -> str:
        """Keeps an accepted decision and sets its revision's status, unless one decided before.

        Returns an empty text, or the status that already stands: of any number of decisions racing for one revision
        exactly one is accepted. The accepted one is accepted again: whoever was to hear of it may have died before.
        An approval that no longer holds (`still_good` says so) may be replaced by another or taken back; changes come
        too late then, for some may have been told.
        """
        with self._database.write() as session:
            revision = session.get(RevisionRow, (record.outreach, record.revision), with_for_update=True)
            if revision is None:
                return "missing"
            before = session.exec(_accepted(record.outreach, record.revision)).first()
            same = before is not None and (before.approver, before.envelope) == (record.approver, record.envelope)
            if same and revision.status == status:
                return ""
            replaces = (
                revision.status == "approved"
                and status != "changes_requested"
                and before is not None
                and not still_good(_record(before))
            )
            if revision.status != "pending" and not replaces:
                session.add(_row(record.model_copy(update={"accepted": False, "code": "already_decided"})))
                return revision.status
            revision.status = status
            session.add(revision)
            session.add(_row(record))
            return ""

    def approval(self, outreach: str, revision: int) -> DecisionRecord | None:
        """Returns the latest accepted approval of a revision."""
        with self._database.read() as session:
            row = session.exec(_accepted(outreach, revision)).first()
            return None if row is None or row.decision != "approve" else _record(row)

    def received(self, outreach: str) -> list[DecisionRecord]:
        """Returns all decisions on an outreach in the order they came."""
        with self._database.read() as session:
            rows = session.exec(
                select(DecisionRow).where(DecisionRow.outreach_id == outreach).order_by(col(DecisionRow.id))
            )
            return [_record(row) for row in rows]


def _accepted(outreach: str, revision: int) -> SelectOfScalar[DecisionRow]:
    return (
        select(DecisionRow)
        .where(
            DecisionRow.outreach_id == outreach,
            DecisionRow.revision == revision,
            col(DecisionRow.accepted).is_(True),
        )
        .order_by(col(DecisionRow.id).desc())
    )


def _row(record: DecisionRecord) -> DecisionRow:
    fields = record.model_dump()
    fields["outreach_id"] = fields.pop("outreach")
    return DecisionRow(**fields)


def _record(row: DecisionRow) -> DecisionRecord:
    return DecisionRecord(
        outreach=row.outreach_id,
        revision=row.revision,
        decision=row.decision,
        approver=row.approver,
        fingerprint=row.fingerprint,
        accepted=row.accepted,
        code=row.code,
        envelope=row.envelope,
        received_at=row.received_at,
    )
