"""The audit log: one chain of entries, added to under a lock, held against its anchors and against what it tells of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import event
from sqlmodel import Session, col, select

from tellfirst.errors import SourceError
from tellfirst.signing.trail import Anchor, Anchors, Entry, Link, anchor, faults, link, read_anchors
from tellfirst.store.anchor import AnchorFile
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, chunks
from tellfirst.store.tables_audit import AuditRow

Check = Callable[[Session, Sequence[Link]], list[str]]
"""Holds the entries of the log against the rows they tell of, in one snapshot, and says in sentences what differs."""

RECOVERY = "recovery"
"""The kind of the entry by which somebody says what became of a database that went back to an older copy."""
LATEST = 1_000
"""Entries that a worker looks for when it starts: what an older copy lacks are the latest."""


class Chain:
    """Adds to the audit log and reads it; nothing changes or deletes an entry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: Entry, session: Session | None = None) -> Link:
        """Adds an entry, in the transaction of `session` or in one of its own; they stand or fall together.

        Let it be the last statement of a transaction: every other one that writes an entry waits for its end. Raises
        SourceError when the anchor cannot be written; the transaction is then to be given up.
        """
        if session is None:
            with self._database.write() as own:
                return self.append(entry, own)
        alone(session, "audit")
        made = link(entry, _head(session))
        session.add(AuditRow(**made.model_dump()))
        session.flush()
        if (file := self._anchor) is not None:
            file.add(anchor(made, "next").line)

            def confirm(_: Session) -> None:
                # It is committed and announced: a confirmation that fails costs no more than a cut end unseen.
                with suppress(SourceError):
                    file.add(anchor(made, "head").line)

            event.listen(session, "after_commit", confirm, once=True)
        return made

    def note_change(self, kind: str, about: str, digest: str, *, actor: str, at: datetime, **facts: int) -> bool:
        """Adds an entry when the digest of a thing is not the one that was last noted; returns whether it was."""
        with self._database.write() as session:
            alone(session, "audit")
            query = select(AuditRow).where(AuditRow.kind == kind, AuditRow.about == about)
            last = session.exec(query.order_by(col(AuditRow.sequence).desc()).limit(1)).first()
            if last is not None and last.facts.get("digest") == digest:
                return False
            self.append(Entry(kind=kind, about=about, actor=actor, at=at, facts={"digest": digest, **facts}), session)
            return True

    def entries(self) -> list[Link]:
        """Returns all entries in order."""
        with self._database.read() as session:
            return list(_links(session))

    def head(self) -> Link | None:
        """Returns the latest entry, None before the first."""
        with self._database.read() as session:
            return _head(session)

    def faults(self, *checks: Check, copies: Sequence[Path] = ()) -> list[str]:
        """Returns what is wrong with the log in sentences, none when it is as it was written.

        `copies` are further anchor files: of other machines, or kept from before. Raises SourceError for one that
        cannot be read.
        """
        files = [*([self._anchor] if self._anchor else []), *map(AnchorFile, copies)]
        confirmed = [a for a in self._anchors(files) if a.stage == "head"]
        with self._database.read() as session:
            try:
                links = list(_links(session))
            except ValueError:
                # Its own column cannot be read: no entry was ever written like that.
                return ["audit log: it cannot be read: an entry holds what none can hold"]
            found = [sentence for check in checks for sentence in check(session, links)]
        anchors = Anchors(confirmed=tuple(confirmed), named=tuple(self._anchors(files))) if files else None
        return [*faults(links, anchors), *found]

    def gone(self) -> int:
        """Returns how many entries were confirmed in the anchor since the last recovery and are not in the database.

        The database is then an older copy, or another one: it has forgotten what may have left since.
        """
        anchors = [] if self._anchor is None else [a for a in read_anchors(self._anchor.read()) if a.stage == "head"]
        hashes = select(col(AuditRow.hash))
        with self._database.read() as session:
            recovered = set(session.scalars(hashes.where(col(AuditRow.kind) == RECOVERY)))
            places = [place for place, one in enumerate(anchors) if one.hash in recovered]
            since = anchors[places[-1] + 1 :] if places else anchors
            missing = {one.hash for one in since[-LATEST:]}
            for chunk in chunks(sorted(missing)):
                missing -= set(session.scalars(hashes.where(col(AuditRow.hash).in_(chunk))))
        return len(missing)

    @property
    def _anchor(self) -> AnchorFile | None:
        return None if self._database.anchor is None else AnchorFile(self._database.anchor)

    @staticmethod
    def _anchors(files: Sequence[AnchorFile]) -> Iterator[Anchor]:
        for file in files:
            yield from read_anchors(file.read())


def _head(session: Session) -> Link | None:
    row = session.exec(select(AuditRow).order_by(col(AuditRow.sequence).desc()).limit(1)).first()
    return None if row is None else _link(row)


def _links(session: Session) -> Iterator[Link]:
    return (_link(row) for row in session.exec(select(AuditRow).order_by(col(AuditRow.sequence))))


def _link(row: AuditRow) -> Link:
    told = {name: getattr(row, name) for name in Link.model_fields}
    with suppress(ValidationError):
        made = Link.model_validate(told)
        if made.model_dump() == told:
            return made
    # No entry of ours comes back changed: this one was edited, and its hash holds for nothing that we could say.
    place = {name: told[name] for name in ("sequence", "at", "previous", "hash")}
    return Link(kind="unreadable", about="", actor="", **place)
