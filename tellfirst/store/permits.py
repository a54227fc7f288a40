"""Standing permits in use: what each revision took of one, never more in all than the permit covers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam
from sqlmodel import Session, col, func, select

from tellfirst.domain.base import Frozen
from tellfirst.signing.permits import Used
from tellfirst.signing.trail import Entry, Fact, Link
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.matters import APPROVED
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables import MatterRow, RevisionRow
from tellfirst.store.tables_permits import PermitUseRow

USE = "permit_use"
_USES = table(PermitUseRow)
TAKEN = _USES.select().where(_USES.c.outreach_id == bindparam("outreach"), _USES.c.revision == bindparam("number"))


class PermitUse(Frozen):
    """Is what a revision takes of a permit; `permit` is the name of its matter, `digest` that of the proposal.

    With a `reason` it took nothing: that is why people decide about it.
    """

    outreach: str
    revision: int
    permit: str
    recipients: int
    cost_micros: int
    digest: str
    reason: str = ""
    at: datetime


class Permits:
    """Takes and counts the uses of permits, each with its entry in the audit log."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def take(self, use: PermitUse, uncovered: Callable[[Used], str]) -> PermitUse:
        """Takes a use and starts its revision as approved, and returns it, with a reason when nothing is taken.

        `uncovered` says why the permit does not cover it beside what others took. One that is there already stays.
        However many ask at once, each sees what those before it took: the permit's row lets one pass at a time.
        """
        with self._database.write() as session:
            matter = session.get(MatterRow, use.permit, with_for_update=True)
            if (known := session.get(PermitUseRow, (use.outreach, use.revision))) is not None:
                return _use(known)
            in_force = matter is not None and matter.status == APPROVED
            why = uncovered(_used(session, use.permit, use)) if in_force else "the permit is no longer in force"
            revision = session.get_one(RevisionRow, (use.outreach, use.revision), with_for_update=True)
            if why or revision.status != "pending":
                return use.model_copy(update={"reason": why or f"it is {revision.status} already"})
            insert_new(session, PermitUseRow, [_values(use)])
            revision.status = "approved"
            session.add(revision)
            self._chain.append(_entry(use), session)
            return use

    def leave(self, use: PermitUse) -> PermitUse:
        """Keeps why a revision took nothing, and returns what stands; one that is there already stays."""
        with self._database.write() as session:
            insert_new(session, PermitUseRow, [_values(use.model_copy(update={"recipients": 0, "cost_micros": 0}))])
            return _use(session.get_one(PermitUseRow, (use.outreach, use.revision)))

    def of(self, outreach: str, revision: int) -> PermitUse | None:
        """Returns what a revision took, or why it took nothing; None where no permit was asked."""
        with self._database.read() as session:
            row = session.execute(TAKEN, {"outreach": outreach, "number": revision}).one_or_none()
        return None if row is None else _use(row)

    def uses(self, permit: str) -> list[PermitUse]:
        """Returns the uses of a permit in the order they were taken."""
        query = (
            select(PermitUseRow)
            .where(PermitUseRow.permit == permit, PermitUseRow.reason == "")
            .order_by(col(PermitUseRow.at), col(PermitUseRow.outreach_id), col(PermitUseRow.revision))
        )
        with self._database.read() as session:
            return [_use(row) for row in session.exec(query)]

    def used(self, permit: str, besides: PermitUse | None = None) -> Used:
        """Returns what was taken of a permit, without what `besides` took; `in_outreach` is of its outreach."""
        with self._database.read() as session:
            return _used(session, permit, besides)


def differences(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence for the uses of permits that differ from their entries in the audit log, or lack one."""
    told = {(link.facts["outreach"], link.facts["revision"]): _told(link) for link in links if link.kind == USE}
    differ = 0
    for row in session.exec(select(PermitUseRow).where(PermitUseRow.reason == "")):
        differ += told.pop((row.outreach_id, row.revision), None) != _told(_entry(_use(row)))
    count = differ + len(told)
    words = "use of a permit is not as it was" if count == 1 else "uses of permits are not as they were"
    return [f"audit log: {count:,} {words} when the entry was written"] if count else []


def _entry(use: PermitUse) -> Entry:
    facts = {
        "outreach": use.outreach,
        "revision": use.revision,
        "recipients": use.recipients,
        "cost_micros": use.cost_micros,
        "proposal": use.digest,
    }
    return Entry(kind=USE, about=use.permit, actor="", at=use.at, facts=facts)


def _told(entry: Entry) -> tuple[str, dict[str, Fact]]:
    return entry.about, dict(entry.facts)


def _used(session: Session, permit: str, besides: PermitUse | None) -> Used:
    taken = select(
        func.coalesce(func.sum(PermitUseRow.recipients), 0), func.coalesce(func.sum(PermitUseRow.cost_micros), 0)
    ).where(PermitUseRow.permit == permit)
    if besides is None:
        recipients, cost = session.exec(taken).one()
        return Used(in_all=recipients, cost_micros=cost)
    here = col(PermitUseRow.outreach_id) == besides.outreach
    itself = here & (col(PermitUseRow.revision) == besides.revision)
    recipients, cost = session.exec(taken.where(~itself)).one()
    in_outreach, _ = session.exec(taken.where(here & ~itself)).one()
    return Used(in_all=recipients, in_outreach=in_outreach, cost_micros=cost)


def _values(use: PermitUse) -> dict[str, object]:
    return {**use.model_dump(exclude={"outreach"}), "outreach_id": use.outreach}


def _use(row: PermitUseRow | Row[Any]) -> PermitUse:
    rest = {name: getattr(row, name) for name in PermitUse.model_fields if name != "outreach"}
    return PermitUse(outreach=row.outreach_id, **rest)
