"""Retention: what is known of recipients goes some time after their outreach has ended; what was signed stays.

Of a row in a frozen audience its leaf stays, so that the signed root can still be recomputed, and of what was sent the
digest of its text. Customers and their addresses are no part of an outreach: they go when they are forgotten.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, bindparam, tuple_
from sqlalchemy.orm import Mapped
from sqlmodel import Session, SQLModel, col, delete, select, update

from tellfirst.domain.base import Frozen
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.rows import read_recipient
from tellfirst.store.statements import alone, table
from tellfirst.store.tables import AdmissionRow, OutreachRow, RecipientRow, SubjectRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.tables_arrivals import EventRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tellfirst.store.tables_retention import RetentionRow
from tellfirst.store.tables_surveys import SurveyRow

EMPTIED = "audiences_emptied"
KEEPER = "retention"
BATCH = 500
AUDIENCES, EVENTS, ADMISSIONS = "audiences", "events", "admissions"


class Emptied(Frozen):
    """Counts rows of audiences, of events and of what sweeps found, and outreaches that are done."""

    recipients: int = 0
    found: int = 0
    events: int = 0
    outreaches: int = 0

    def __add__(self, other: "Emptied") -> "Emptied":
        """Returns the sums."""
        names = type(self).model_fields
        return Emptied(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Retention:
    """Removes personal data of outreaches that ended longer ago than it is `kept`."""

    def __init__(self, database: Database, *, kept: timedelta) -> None:
        self._database, self._chain, self._kept = database, Chain(database), kept

    def tidy(self, *, now: datetime, batches: int, beat: Callable[[], object] = lambda: None) -> Emptied:
        """Empties up to so many batches and returns of how many rows; killed in between, the next call goes on.

        Each batch is a transaction of its own, after which `beat` is called.
        """
        before, done = now - self._kept, Emptied()
        left = iter(range(batches))
        for step in (self._audiences, self._events, self._admissions):
            for _ in left:
                with self._database.write() as session:
                    alone(session, KEEPER)
                    emptied = step(session, before, now)
                beat()
                if emptied is None:
                    break
                done += emptied
        return done

    def _audiences(self, session: Session, before: datetime, now: datetime) -> Emptied | None:
        ended = _ended(session, before, now)
        if not ended:
            return None
        done = Emptied()
        for outreach in ended:
            left = BATCH - done.recipients - done.found
            done += _empty(session, outreach, left)
            if done.recipients + done.found >= BATCH:
                break  # there may be more of this one
            outreach.emptied_at = now
            session.add(outreach)
            done += Emptied(outreaches=1)
        self._announce(session, before, now)
        return done

    def _announce(self, session: Session, before: datetime, now: datetime) -> None:
        """Writes down, once a day, whose audiences are emptied from now on: leaves without content need a reason."""
        day = before.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        mark = session.get(RetentionRow, AUDIENCES) or RetentionRow(what=AUDIENCES)
        if mark.through is not None and mark.through >= day:
            return
        mark.through = day
        session.add(mark)
        facts = {"closed_before": day.isoformat()}
        self._chain.append(Entry(kind=EMPTIED, about=AUDIENCES, actor=KEEPER, at=now, facts=facts), session)

    def _events(self, session: Session, before: datetime, _: datetime) -> Emptied | None:
        old = _older(session, EVENTS, EventRow, col(EventRow.received_at), before)
        done = _set(session, EventRow, col(EventRow.id).in_(old), subject="", data={})
        return Emptied(events=done) if old else None

    def _admissions(self, session: Session, before: datetime, _: datetime) -> Emptied | None:
        old = _older(session, ADMISSIONS, AdmissionRow, col(AdmissionRow.admitted_at), before)
        # Those of an outreach go with it: it may be open for longer than that.
        theirs = select(OutreachRow.id).where(
            OutreachRow.trigger == AdmissionRow.trigger,
            OutreachRow.key == AdmissionRow.condition_key,
            OutreachRow.episode == AdmissionRow.condition_episode,
            col(OutreachRow.emptied_at).is_(None) | (col(OutreachRow.emptied_at) >= AdmissionRow.admitted_at),
        )
        done = _set(session, AdmissionRow, col(AdmissionRow.id).in_(old), ~theirs.exists(), facts={})
        return Emptied(found=done) if old else None


def _ended(session: Session, before: datetime, now: datetime) -> Sequence[OutreachRow]:
    """Returns the outreaches that ended longest ago and keep personal data, but none that somebody still works on."""
    asked = select(ExceptionRow.id).where(
        ExceptionRow.outreach_id == OutreachRow.id, col(ExceptionRow.closed_at).is_(None)
    )
    surveyed = select(SurveyRow.id).where(SurveyRow.outreach_id == OutreachRow.id, SurveyRow.not_after > now)
    query = (
        select(OutreachRow)
        .where(
            col(OutreachRow.emptied_at).is_(None),
            col(OutreachRow.closed_at) <= before,
            ~asked.exists(),
            ~surveyed.exists(),
        )
        .order_by(col(OutreachRow.closed_at))
        .limit(100)
    )
    return session.exec(query).all()


def _empty(session: Session, outreach: OutreachRow, limit: int) -> Emptied:
    """Empties the next rows that belong to an outreach; fewer than `limit` are its last."""
    given = (col(SubjectRow.outreach_id) == outreach.id,)
    found = (
        col(AdmissionRow.trigger) == outreach.trigger,
        col(AdmissionRow.condition_key) == outreach.key,
        col(AdmissionRow.condition_episode) == outreach.episode,
    )
    names = (outreach.id, *(f"{table(row).name}/{outreach.id}" for row in (SubjectRow, AdmissionRow)))
    marks = [session.get(RetentionRow, name) or RetentionRow(what=name) for name in names]
    done = Emptied(recipients=_empty_audience(session, marks[0], limit))
    for row, which, mark in ((SubjectRow, given, marks[1]), (AdmissionRow, found, marks[2])):
        ids = _next(session, mark, row, limit - done.recipients - done.found, *which)
        done += Emptied(found=_set(session, row, table(row).c.id.in_(ids), facts={}))
    if done.recipients + done.found == limit:
        session.add_all(marks)
    else:
        session.execute(delete(RetentionRow).where(col(RetentionRow.what).in_(names)))
    return done


def _empty_audience(session: Session, mark: RetentionRow, limit: int) -> int:
    query = (
        select(RecipientRow)
        .where(
            RecipientRow.outreach_id == mark.what,
            tuple_(col(RecipientRow.revision), col(RecipientRow.position)) > (mark.revision, mark.place),
        )
        .order_by(col(RecipientRow.revision), col(RecipientRow.position))
        .limit(limit)
    )
    rows = session.exec(query).all()
    # Before what they are made of goes. Who stands on no page was never approved: of them there is no leaf.
    for revision, some in groupby(rows, key=attrgetter("revision")):
        _keep_alternates(session, mark.what, revision, {row.position: row for row in some})
    kept = [(row.id, row.leaf if row.leaf or row.page is None else _leaf(row)) for row in rows]
    _keep(session, RecipientRow, kept, address_digest=None, facts={}, timezone=None, promises=None)
    if rows:
        mark.revision, mark.place = rows[-1].revision, rows[-1].position
    return len(rows)


def _keep_alternates(session: Session, outreach: str, revision: int, rows: Mapping[int, RecipientRow]) -> None:
    theirs = select(AlternateRow).where(
        AlternateRow.outreach_id == outreach,
        AlternateRow.revision == revision,
        col(AlternateRow.position).between(min(rows), max(rows)),
        col(AlternateRow.page).is_not(None),
    )
    leaves = [
        (by.id, by.leaf or leaf_of(read_recipient(rows[by.position], by), by.content_digest or ""))
        for by in session.exec(theirs)
    ]
    _keep(session, AlternateRow, leaves, address_digest=None)


def _leaf(row: RecipientRow) -> str:
    return leaf_of(read_recipient(row), row.content_digest or "")


def _keep(session: Session, row: type[SQLModel], leaves: Sequence[tuple[Any, str | None]], **values: Any) -> None:
    one = table(row)
    statement = one.update().where(one.c.id == bindparam("of")).values(leaf=bindparam("kept"), **values)
    if leaves:
        session.connection().execute(statement, [{"of": id_, "kept": leaf} for id_, leaf in leaves])


def _older(session: Session, what: str, row: type[SQLModel], came_at: Mapped[datetime], before: datetime) -> list[int]:
    """Returns the next rows that came before an instant: in the order of their ids, as they came."""
    mark = session.get(RetentionRow, what) or RetentionRow(what=what)
    one, ids = table(row), list[int]()
    query = select(one.c.id, came_at).where(one.c.id > mark.place).order_by(one.c.id).limit(BATCH)
    for id_, at in session.exec(query):
        if at > before:
            break
        ids.append(id_)
    if ids:
        mark.place = ids[-1]
        session.add(mark)
    return ids


def _next(
    session: Session, mark: RetentionRow, row: type[SQLModel], limit: int, *which: ColumnElement[bool]
) -> list[int]:
    """Returns the next rows of an outreach."""
    one = table(row)
    ids = list(session.exec(select(one.c.id).where(*which, one.c.id > mark.place).order_by(one.c.id).limit(limit)))
    mark.place = max(ids, default=mark.place)
    return ids


def _set(session: Session, row: type[SQLModel], *which: ColumnElement[bool], **values: Any) -> int:
    done = session.execute(update(row).where(*which).values(**values))
    return int(done.rowcount)  # type: ignore[attr-defined]
