"""Decisions as they came: accepted and refused alike, each with its entry in the audit log."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam
from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.signing.trail import Entry, Link, envelope_digest
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import table
from tellfirst.store.tables import DecisionRow, MatterRow, RevisionRow


class DecisionRecord(Frozen):
    """Is one received decision; `about` names an outreach, with its revision, or a matter, with none.

    `envelope` is None when it could not be parsed.
    """

    about: str
    revision: int = 0
    decision: str
    approver: str
    fingerprint: str
    accepted: bool
    code: str
    envelope: dict[str, object] | None
    received_at: datetime


DECISION, REFUSAL = "decision", "refusal"
_DECISIONS = table(DecisionRow)
ACCEPTED = (
    _DECISIONS.select()
    .where(
        _DECISIONS.c.about == bindparam("thing"),
        _DECISIONS.c.revision == bindparam("number"),
        _DECISIONS.c.accepted.is_(True),
    )
    .order_by(_DECISIONS.c.id)
)
"""Written once: it is read before every micro-batch."""
PLAIN = re.compile(r"[a-z][a-z0-9._-]{0,63}")
"""What a refused decision says of its signer and its choice may be anything: only plain names are written down."""

Good = Callable[[Sequence[DecisionRecord]], list[DecisionRecord]]
Effect = Callable[[Session], bool]
"""What an approval brings about in its own transaction; False when there is nothing left to bring about."""


class Standing(Frozen):
    """Is how a thing stands after a decision: its status, if this one was taken, and how many approvals stand."""

    status: str
    taken: bool
    approvals: int = 0
    stale: bool = False


class Decisions:
    """Keeps every decision that was received."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def refuse(self, record: DecisionRecord) -> None:
        """Keeps a refused decision."""
        with self._database.write() as session:
            self._keep(session, record)

    def accept(
        self, record: DecisionRecord, *, status: str, needed: int = 1, good: Good, effect: Effect | None = None
    ) -> Standing:
        """Keeps an accepted decision and sets the status of what it is about, unless it is decided already.

        Of any number of decisions racing for one thing exactly one is accepted; where `needed` approvals are asked
        for, it stays pending until so many stand together. The accepted one is accepted again: whoever was to hear of
        it may have died before. `good` tells which approvals of a list hold: those that no longer do may be replaced or
        taken back (changes come too late then, for some may have been told), and one that does not hold beside the
        others is refused; what was approved is told as pending while fewer than `needed` hold. `effect` happens with
        the approval that completes them, or that one is refused as stale.
        """
        with self._database.write() as session:
            thing = (
                session.get(RevisionRow, (record.about, record.revision), with_for_update=True)
                if record.revision
                else session.get(MatterRow, record.about, with_for_update=True)
            )
            if thing is None:
                return Standing(status="missing", taken=False)
            accepted = [_record(row) for row in _accepted(session, record.about, record.revision)]
            before = _approvals(accepted)
            again = any(_same(one, record) for one in before or accepted[-1:])
            if again and thing.status in (status, "pending"):
                return _stands(thing.status, len(good(before)), needed)
            lapsed = thing.status == "approved" and status != "changes_requested" and len(good(before)) < needed
            after = good([*before, record]) if record.decision == "approve" else []
            beside = record.decision != "approve" or any(one is record for one in after)
            if (thing.status != "pending" and not lapsed) or not beside:
                self._keep(session, record.model_copy(update={"accepted": False, "code": "already_decided"}))
                return Standing(status=thing.status, taken=False)
            if record.decision != "approve" or len(after) >= needed:
                if record.decision == "approve" and effect is not None and not effect(session):
                    self._keep(session, record.model_copy(update={"accepted": False, "code": "stale_content"}))
                    return Standing(status=thing.status, taken=False, stale=True)
                thing.status = status
                session.add(thing)
            self._keep(session, record)
            return _stands(thing.status, len(after), needed)

    def approvals(self, about: str, revision: int = 0) -> list[DecisionRecord]:
        """Returns the accepted approvals of a thing in the order they came, none when it was refused since."""
        with self._database.read() as session:
            return _approvals([_record(row) for row in _accepted(session, about, revision)])

    def received(self, about: str) -> list[DecisionRecord]:
        """Returns all decisions about a thing in the order they came."""
        with self._database.read() as session:
            rows = session.exec(select(DecisionRow).where(DecisionRow.about == about).order_by(col(DecisionRow.id)))
            return [_record(row) for row in rows]

    def _keep(self, session: Session, record: DecisionRecord) -> None:
        row = _row(record)
        session.add(row)
        session.flush()
        self._chain.append(_entry(row), session)


def _stands(status: str, approvals: int, needed: int) -> Standing:
    lacks = status == "approved" and approvals < needed
    return Standing(status="pending" if lacks else status, taken=True, approvals=approvals)


def came_before(records: Sequence[DecisionRecord], envelope: Mapping[str, object]) -> Sequence[DecisionRecord]:
    """Returns what had come when this very envelope came first: it is judged as it was then, however often it comes."""
    places = (place for place, record in enumerate(records) if record.envelope == envelope)
    return records[: next(places, len(records))]


def differences(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence for the decisions that differ from their entries in the audit log, or lack one."""
    told = {link.facts.get("row"): _content(link) for link in links if link.kind in (DECISION, REFUSAL)}
    differ = alone = 0
    for row in session.exec(select(DecisionRow).order_by(col(DecisionRow.id))):
        entry = told.pop(row.id, None)
        alone += entry is None
        differ += entry is not None and entry != _content(_entry(row))
    return [
        f"audit log: {count:,} {'decision' if count == 1 else 'decisions'} {words}"
        for count, words in (
            (differ, "changed since the entry was written"),
            (alone, "in the database without an entry"),
            (len(told), "in the log but no longer in the database"),
        )
        if count
    ]


def _entry(row: DecisionRow) -> Entry:
    return Entry(
        kind=DECISION if row.accepted else REFUSAL,
        about=row.about,
        actor=_plain(row.approver),
        at=row.received_at,
        facts={
            "row": row.id,
            "revision": row.revision,
            "decision": _plain(row.decision),
            "code": row.code,
            "key": row.fingerprint,
        },
        document=envelope_digest(row.envelope),
    )


def _content(entry: Entry) -> Entry:
    return Entry.model_validate(entry.model_dump(include=set(Entry.model_fields)))


def _plain(text: str) -> str:
    return text if PLAIN.fullmatch(text) else ""


def _accepted(session: Session, about: str, revision: int) -> Sequence[Row[Any]]:
    return session.execute(ACCEPTED, {"thing": about, "number": revision}).all()


def _approvals(accepted: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    """Returns what was approved since anything else was decided."""
    approvals: list[DecisionRecord] = []
    for record in accepted:
        approvals = [*approvals, record] if record.decision == "approve" else []
    return approvals


def _same(one: DecisionRecord, other: DecisionRecord) -> bool:
    return (one.approver, one.envelope) == (other.approver, other.envelope)


def _row(record: DecisionRecord) -> DecisionRow:
    return DecisionRow(**record.model_dump())


def _record(row: DecisionRow | Row[Any]) -> DecisionRecord:
    return DecisionRecord.model_validate(row, from_attributes=True)
