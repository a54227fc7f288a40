"""Matters: what people decide apart from plan revisions, each under the name that its decisions carry."""

from datetime import datetime

from sqlmodel import col, select

from tellfirst.domain.base import Frozen
from tellfirst.signing.kinds import PROPOSALS, Bound
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import MatterRow

PENDING = "pending"
EXPIRED = "expired"


class MatterRecord(Frozen):
    """Is one matter: what is to be decided, who proposed it, and how it stands."""

    about: str
    kind: str
    proposal: Bound
    status: str
    proposer: str
    opened_at: datetime
    closed_at: datetime | None


class Matters:
    """Opens, reads and closes matters; `Decisions.accept` moves them while they are decided."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, proposal: Bound, proposer: str, now: datetime) -> MatterRecord:
        """Opens a matter and returns how it stands; one that is there stays, unless it expired undecided."""
        asked = {"proposal": proposal.document(), "status": PENDING, "proposer": proposer, "opened_at": now}
        with self._database.write() as session:
            insert_new(session, MatterRow, [{"about": proposal.about, "kind": proposal.kind, **asked}])
            row = session.get_one(MatterRow, proposal.about, with_for_update=True)
            if row.status == EXPIRED:
                row.sqlmodel_update({**asked, "closed_at": None})
                session.add(row)
            return _record(row)

    def get(self, about: str) -> MatterRecord | None:
        """Returns one matter, or None."""
        with self._database.read() as session:
            row = session.get(MatterRow, about)
            return None if row is None else _record(row)

    def of_kind(self, kind: str, status: str = "") -> list[MatterRecord]:
        """Returns the matters of a kind, of one status or of any, in the order they were opened."""
        query = select(MatterRow).where(MatterRow.kind == kind)
        if status:
            query = query.where(MatterRow.status == status)
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(MatterRow.opened_at), col(MatterRow.about)))
            return [_record(row) for row in rows]

    def set_status(self, about: str, status: str, *, at: datetime, only: tuple[str, ...] = ()) -> bool:
        """Records what became of a matter and returns whether it did; `only` names the statuses it may leave."""
        with self._database.write() as session:
            row = session.get(MatterRow, about, with_for_update=True)
            if row is None or (only and row.status not in only):
                return False
            row.status = status
            row.closed_at = None if status == PENDING else at
            session.add(row)
            return True


def _record(row: MatterRow) -> MatterRecord:
    return MatterRecord(
        about=row.about,
        kind=row.kind,
        proposal=PROPOSALS[row.kind].model_validate(row.proposal),
        status=row.status,
        proposer=row.proposer,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )
