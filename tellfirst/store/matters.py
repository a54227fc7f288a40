"""Matters: what people decide apart from plan revisions, each under the name that its decisions carry."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.signing.kinds import PROPOSALS, Bound
from tellfirst.signing.trail import Entry, Fact, Link, envelope_digest
from tellfirst.store.chain import Chain
from tellfirst.store.decisions import DECISION
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import MatterRow

PENDING = "pending"
APPROVED = "approved"
REJECTED = "rejected"
EXPIRED = "expired"
REVOKED = "revoked"

_PROPOSED, _STATUS = "_proposed", "_status"
"""How the kinds of their entries in the audit log end."""


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
        self._database, self._chain = database, Chain(database)

    def open(self, proposal: Bound, proposer: str, now: datetime) -> MatterRecord:
        """Opens a matter and returns how it stands; one that is there stays, unless it expired or was revoked."""
        asked = {"proposal": proposal.document(), "status": PENDING, "proposer": proposer, "opened_at": now}
        with self._database.write() as session:
            new = insert_new(session, MatterRow, [{"about": proposal.about, "kind": proposal.kind, **asked}]) == 1
            row = session.get_one(MatterRow, proposal.about, with_for_update=True)
            if row.status in (EXPIRED, REVOKED):
                row.sqlmodel_update({**asked, "closed_at": None})
                session.add(row)
                new = True
            if new:
                bound = envelope_digest(proposal.document())
                self._note(session, row, _PROPOSED, at=now, actor=proposer, facts={"proposal": bound})
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

    def set_status(self, about: str, status: str, *, at: datetime, only: tuple[str, ...] = (), by: str = "") -> bool:
        """Records what became of a matter and returns whether it did; `only` names the statuses it may leave."""
        with self._database.write() as session:
            row = session.get(MatterRow, about, with_for_update=True)
            if row is None or (only and row.status not in only):
                return False
            changed, row.status = row.status != status, status
            row.closed_at = None if status == PENDING else at
            session.add(row)
            if changed:
                self._note(session, row, _STATUS, at=at, actor=by, facts={"status": status})
            return True

    def _note(
        self, session: Session, row: MatterRow, what: str, *, at: datetime, facts: dict[str, Fact], actor: str = ""
    ) -> None:
        kind = f"{row.kind}{what}"
        self._chain.append(Entry(kind=kind, about=row.about, actor=actor, at=at, facts=facts), session)


def rewritten(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence for matters whose proposal, or whose being taken back or lapsed, is not as the log tells."""
    proposed: dict[str, Fact] = {}
    closed: dict[str, Fact] = {}  # until something else happens to it: an accepted decision sets a status by itself
    for link in links:
        if link.kind == DECISION or link.kind.endswith(_PROPOSED):
            closed.pop(link.about, None)
        if link.kind.endswith(_PROPOSED):
            proposed[link.about] = link.facts.get("proposal")
        elif link.kind.endswith(_STATUS):
            closed[link.about] = link.facts.get("status")
    wrong = 0
    for row in session.exec(select(MatterRow)):
        as_proposed = proposed.get(row.about) == envelope_digest(row.proposal)
        wrong += not (as_proposed and closed.get(row.about, row.status) == row.status)
    words = "matter is" if wrong == 1 else "matters are"
    return [f"audit log: {wrong:,} {words} not as it was written down"] if wrong else []


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
