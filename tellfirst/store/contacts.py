"""Inbound contacts, as their sources last told them, and how far they are known."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func
from sqlmodel import Session, col, delete, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.accounts import RULES, clusters_of
from tellfirst.store.engine import Database
from tellfirst.store.erasure import ERASURE
from tellfirst.store.statements import alone, beside, chunks, insert_new, table
from tellfirst.store.tables import ContactRow, WatermarkRow
from tellfirst.store.tables_audit import AuditRow
from tellfirst.store.tables_contacts import ContactVersionRow, ReasonCodeRow

REPLIES, EXCEPTIONS = "replies", "exceptions"
OURS = frozenset({REPLIES, EXCEPTIONS})
"""Sources of our own, whose reason codes are ours already."""
LONGEST = 10**8
"""The most seconds that anybody may have worked on one contact; three years."""
CORRECTED, WITHDRAWN, MAPPED = "corrected", "withdrawn", "mapped"

SAID = ("customer_id", "given_code", "channel", "occurred_at", "handle_seconds", "resolved_at")
"""Columns as the source says them; the others follow from these."""

Values = dict[str, Any]


class Contact(Frozen):
    """Is one inbound support contact; `id` is its source's own, and so is the reason code.

    What is None or empty was not said. `withdrawn` takes a contact back, and False says that it stands after all.
    """

    id: str
    customer: str
    reason_code: str
    occurred_at: datetime
    channel: str = ""
    handle_seconds: int | None = None
    resolved_at: datetime | None = None
    withdrawn: bool | None = None


class Saved(Frozen):
    """Counts contacts that were new, that said something else than before, that were taken back, or that we knew."""

    new: int = 0
    corrected: int = 0
    withdrawn: int = 0
    known: int = 0

    def __add__(self, other: "Saved") -> "Saved":
        """Returns the sums."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Saved(**{name: mine[name] + theirs[name] for name in mine})


class Contacts:
    """Keeps contacts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, contacts: Sequence[Contact], *, source: str, through: datetime | None, now: datetime) -> Saved:
        """Adds or corrects contacts, all or none, and moves the source's watermark to `through`, never back."""
        with self._database.write() as session:
            alone(session, f"contacts of {source}")
            saved = put(session, contacts, source=source, now=now)
            if source not in OURS:
                _hear(session, source, through, now)
        return saved

    def watermark(self) -> datetime | None:
        """Returns the instant up to which the contacts of every source are here, None before the first import."""
        with self._database.read() as session:
            return session.exec(select(func.min(col(WatermarkRow.at)))).one()

    def through(self, source: str) -> datetime | None:
        """Returns the instant up to which the contacts of one source are here, None while it never said so."""
        with self._database.read() as session:
            return session.exec(select(WatermarkRow.at).where(WatermarkRow.source == source)).first()

    def known(self, ids: Sequence[str]) -> set[str]:
        """Returns which contacts are here already."""
        found: set[str] = set()
        with self._database.read() as session:
            for chunk in chunks(ids):
                found.update(session.exec(select(ContactRow.id).where(col(ContactRow.id).in_(chunk))))
        return found


def put(session: Session, contacts: Iterable[Contact], *, source: str, now: datetime) -> Saved:
    """Adds contacts, or corrects those that say something else than before; whatever writes contacts comes by here.

    Of one id that is given twice the last word counts. What a contact leaves unsaid stays as it was; one told as it was
    told before changes nothing, and one that was withdrawn stays so until it is said to stand.
    """
    beside(session, RULES)
    given = {contact.id: contact for contact in contacts}
    saved = Saved()
    for chunk in chunks(sorted(given)):  # in one order, so that nobody waits in a circle
        saved += _put(session, [given[id_] for id_ in chunk], source, now)
    return saved


def _put(session: Session, contacts: Sequence[Contact], source: str, now: datetime) -> Saved:
    here = _here(session, source, [contact.id for contact in contacts])
    gone = _gone(session, source, [contact.id for contact in contacts if contact.id not in here])
    rows = _rows(session, contacts, source, now)
    _keep_alias(session, rows, here)
    new, corrected, withdrawn = list[Values](), list[tuple[Values, Values]](), list[Values]()
    for row, contact in zip(rows, contacts, strict=True):
        old = here.get(contact.id)
        row["version"] = gone.get(contact.id, 0) + 1
        if old is not None and contact.withdrawn:
            withdrawn.append(old)
        elif old is not None and (change := _change(old, row)):
            corrected.append((old, {**old, **change, "version": old["version"] + 1, "imported_at": now}))
        elif old is None and contact.withdrawn and contact.id not in gone:
            withdrawn.append(row)  # not here yet, and when it comes it must not count
        elif old is None and (contact.id not in gone or contact.withdrawn is False):
            new.append(row)
    made = insert_new(session, ContactRow, new)
    keep_versions(session, [old for old, _ in corrected], CORRECTED, now)
    keep_versions(session, withdrawn, WITHDRAWN, now)
    _replace(session, [after for _, after in corrected])
    _delete(session, source, [row["id"] for row in withdrawn])
    known = len(contacts) - made - len(corrected) - len(withdrawn)
    return Saved(new=made, corrected=len(corrected), withdrawn=len(withdrawn), known=known)


def keep_versions(session: Session, rows: Sequence[Values], cause: str, now: datetime) -> None:
    """Keeps what contacts said before they were replaced or taken back."""
    insert_new(session, ContactVersionRow, [{**row, "replaced_at": now, "cause": cause} for row in rows])


def _hear(session: Session, source: str, through: datetime | None, now: datetime) -> None:
    insert_new(session, WatermarkRow, [{"source": source}])
    mark = update(WatermarkRow).where(col(WatermarkRow.source) == source)
    session.execute(mark.values(heard_at=now))
    if through is not None:
        behind = col(WatermarkRow.at).is_(None) | (col(WatermarkRow.at) < through)
        session.execute(mark.where(behind).values(at=through))


def _here(session: Session, source: str, ids: Sequence[str]) -> dict[str, Values]:
    contact = table(ContactRow)
    query = contact.select().where(contact.c.source == source, contact.c.id.in_(ids))
    return {row["id"]: dict(row) for row in session.execute(query).mappings()}


def _gone(session: Session, source: str, ids: Sequence[str]) -> dict[str, int]:
    """Returns the last version of each contact that was withdrawn."""
    of = (col(ContactVersionRow.source) == source, col(ContactVersionRow.id).in_(ids))
    query = select(ContactVersionRow.id, func.max(ContactVersionRow.version)).where(*of)
    return dict(session.exec(query.group_by(ContactVersionRow.id)).all())


def _rows(session: Session, contacts: Sequence[Contact], source: str, now: datetime) -> list[Values]:
    clusters = clusters_of(session, {contact.customer for contact in contacts})
    codes = set() if source in OURS else {contact.reason_code for contact in contacts}
    mapped = select(ReasonCodeRow.given, ReasonCodeRow.reason).where(col(ReasonCodeRow.given).in_(codes))
    reasons: dict[str, str] = dict(session.exec(mapped).all())
    return [
        {
            "source": source,
            "id": contact.id,
            "customer_id": contact.customer,
            "cluster": clusters[contact.customer],
            "reason_code": reasons.get(contact.reason_code, contact.reason_code),
            "given_code": None if source in OURS else contact.reason_code,
            "channel": contact.channel,
            "occurred_at": contact.occurred_at,
            "handle_seconds": contact.handle_seconds,
            "resolved_at": contact.resolved_at,
            "imported_at": now,
        }
        for contact in contacts
    ]


def _keep_alias(session: Session, rows: Sequence[Values], here: dict[str, Values]) -> None:
    """Lets the contacts of who was forgotten keep the name that says nothing, whatever their source still says."""
    pairs = [(row, here[row["id"]]) for row in rows if row["id"] in here]
    others = [(row, old) for row, old in pairs if row["customer_id"] != old["customer_id"]]
    names = {old["customer_id"] for _, old in others}
    query = select(AuditRow.about).where(AuditRow.kind == ERASURE, col(AuditRow.about).in_(names))
    forgotten = set(session.exec(query)) if names else set()
    for row, old in others:
        if old["customer_id"] in forgotten:
            row["customer_id"], row["cluster"] = old["customer_id"], old["cluster"]


def _change(old: Values, row: Values) -> Values:
    """Returns what a contact says otherwise than before; what it leaves unsaid stays as it was."""
    change = {name: row[name] for name in SAID if row[name] not in (None, "", old[name])}
    follows = {"customer_id": "cluster", "given_code": "reason_code"}
    return change | {then: row[then] for name, then in follows.items() if name in change}


def _replace(session: Session, rows: Sequence[Values]) -> None:
    contact = table(ContactRow)
    if rows:
        this = (contact.c.source == bindparam("of_source"), contact.c.id == bindparam("of_id"))
        session.execute(
            contact.update().where(*this), [{"of_source": row["source"], "of_id": row["id"], **row} for row in rows]
        )


def _delete(session: Session, source: str, ids: Sequence[str]) -> None:
    if ids:
        session.execute(delete(ContactRow).where(col(ContactRow.source) == source, col(ContactRow.id).in_(ids)))
