"""What the codes of helpdesks mean: which of our reasons each stands for, and which of them nobody has mapped."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, insert, literal, select, update
from sqlmodel import col

from tellfirst.domain.base import Frozen
from tellfirst.signing.trail import Entry
from tellfirst.store.accounts import RULES
from tellfirst.store.chain import Chain
from tellfirst.store.contacts import MAPPED
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, chunks, insert_new, table
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_contacts import ContactVersionRow, ReasonCodeRow


class Mapped(Frozen):
    """Is a code of a helpdesk with the reason it stands for, and how many contacts have it."""

    given: str
    reason: str
    at: datetime
    by: str
    contacts: int


class Unmapped(Frozen):
    """Is a code that is no reason of any playbook and was not mapped to one; empty where contacts came without."""

    given: str
    contacts: int
    first: datetime
    last: datetime
    sources: tuple[str, ...]


class ReasonCodes:
    """Maps the codes of helpdesks."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def map(self, given: str, reason: str, *, by: str, now: datetime) -> int:
        """Lets a code stand for a reason from now on, and returns how many contacts that were here it corrected."""
        contact, version = table(ContactRow), table(ContactVersionRow)
        with self._database.write() as session:
            alone(session, RULES)
            insert_new(session, ReasonCodeRow, [{"given": given, "reason": reason, "at": now, "by": by}])
            said = update(ReasonCodeRow).where(col(ReasonCodeRow.given) == given, col(ReasonCodeRow.reason) != reason)
            session.execute(said.values(reason=reason, at=now, by=by))
            which = (contact.c.given_code == given, contact.c.reason_code != reason)
            kept = select(*contact.c, literal(now, version.c.replaced_at.type), literal(MAPPED)).where(*which)
            session.execute(insert(version).from_select([*contact.c.keys(), "replaced_at", "cause"], kept))
            values = {"reason_code": reason, "version": contact.c.version + 1, "imported_at": now}
            corrected: int = session.execute(contact.update().where(*which).values(**values)).rowcount  # type: ignore[attr-defined]
            facts = {"reason": reason, "contacts": corrected}
            self._chain.append(Entry(kind="code_mapped", about=given, actor=by, at=now, facts=facts), session)
        return corrected

    def all(self) -> tuple[Mapped, ...]:
        """Returns what is mapped, by reason."""
        contacts = func.count(col(ContactRow.id))
        query = (
            select(ReasonCodeRow, contacts)
            .outerjoin(ContactRow, col(ContactRow.given_code) == col(ReasonCodeRow.given))
            .group_by(*table(ReasonCodeRow).c)
            .order_by(col(ReasonCodeRow.reason), col(ReasonCodeRow.given))
        )
        with self._database.read() as session:
            return tuple(Mapped(**row.model_dump(), contacts=count) for row, count in session.execute(query))

    def mapped(self, codes: Collection[str]) -> set[str]:
        """Returns which of these codes are mapped."""
        found = set[str]()
        with self._database.read() as session:
            for chunk in chunks(codes):
                found.update(
                    session.scalars(select(col(ReasonCodeRow.given)).where(col(ReasonCodeRow.given).in_(chunk)))
                )
        return found

    def unmapped(self, reasons: Collection[str]) -> tuple[Unmapped, ...]:
        """Returns the codes that are neither mapped nor among `reasons`, most contacts first."""
        contact, code = table(ContactRow), table(ReasonCodeRow)
        query = (
            select(
                contact.c.given_code,
                contact.c.source,
                func.count(),
                func.min(contact.c.occurred_at),
                func.max(contact.c.occurred_at),
            )
            .where(contact.c.given_code.not_in(select(code.c.given)), contact.c.given_code.not_in(reasons))
            .group_by(contact.c.given_code, contact.c.source)
        )
        parts: dict[str, list[tuple[str, int, datetime, datetime]]] = defaultdict(list)
        with self._database.read() as session:
            for given, *part in session.execute(query):
                parts[given].append(tuple(part))
        found = [
            Unmapped(
                given=given,
                contacts=sum(count for _, count, _, _ in of),
                first=min(first for _, _, first, _ in of),
                last=max(last for _, _, _, last in of),
                sources=tuple(sorted(source for source, _, _, _ in of)),
            )
            for given, of in parts.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.contacts, one.given)))
