"""The feed: which systems are told what happens, and what still waits for one of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, literal_column, or_
from sqlmodel import Session, col, delete, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables_feed import WAITING, FeedEndpointRow, FeedEventRow

DELIVERED = "delivered"
PARKED = "parked"
KEEP = timedelta(days=30)
"""How long what was delivered is kept, and what waits for a system that is no longer told."""


class FeedEvent(Frozen):
    """Is one event on its way; `id` stays the same for every attempt."""

    number: int
    id: str
    type: str
    customer: str
    at: datetime
    data: dict[str, Any]
    attempts: int


class Tried(Frozen):
    """Is what became of one attempt; `refused` when the receiver is well and does not want this event."""

    number: int
    acknowledged: bool
    detail: str
    refused: bool = False
    next_at: datetime | None = None


class ParkedEvent(Frozen):
    """Is an event that is not tried any more until somebody says so."""

    id: str
    type: str
    outreach: str
    at: datetime
    attempts: int
    detail: str
    parked_at: datetime


class EndpointStanding(Frozen):
    """Is how far a system has been told; `oldest` is when the first thing happened that it does not know."""

    name: str
    types: tuple[str, ...]
    since: datetime
    waiting: int
    oldest: datetime | None
    failing: int
    last_detail: str
    delivered: int
    last_delivered_at: datetime | None
    parked: tuple[ParkedEvent, ...]


class Feed:
    """Keeps what other systems are told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, endpoints: Mapping[str, Sequence[str]], *, now: datetime) -> None:
        """Tells these systems, by name, of the types they chose, and no other; what waits for another one stays."""
        others = col(FeedEventRow.endpoint).not_in(endpoints)
        with self._database.write() as session:
            session.execute(delete(FeedEndpointRow).where(col(FeedEndpointRow.name).not_in(endpoints)))
            session.execute(delete(FeedEventRow).where(others, col(FeedEventRow.at) < now - KEEP))
            for name, types in endpoints.items():
                insert_new(session, FeedEndpointRow, [{"name": name, "types": list(types), "since": now}])
                named = update(FeedEndpointRow).where(col(FeedEndpointRow.name) == name)
                session.execute(named.values(types=list(types)))

    def registered(self, endpoint: str) -> bool:
        """Returns whether a system is told."""
        with self._database.read() as session:
            return session.get(FeedEndpointRow, endpoint) is not None

    def due(self, endpoint: str, *, now: datetime, limit: int) -> list[FeedEvent]:
        """Returns what is to be told next, in order: of each customer the first event that waits, and what was refused.

        What is about no customer waits for the earlier events of its outreach.
        """
        row, earlier = table(FeedEventRow), table(FeedEventRow).alias("earlier")
        before = (
            select(earlier.c.id)
            .where(
                earlier.c.endpoint == row.c.endpoint,
                earlier.c.customer_id == row.c.customer_id,
                or_(earlier.c.customer_id != "", earlier.c.outreach_id == row.c.outreach_id),
                _waits(earlier.c.state),
                earlier.c.refused.is_(False),
                earlier.c.id < row.c.id,
            )
            .exists()
        )
        names = (row.c.id.label("number"), row.c.event_id.label("id"), row.c.customer_id.label("customer"))
        columns = (*names, row.c.type, row.c.at, row.c.data, row.c.attempts)
        ready = row.c.next_at.is_(None) | (row.c.next_at <= now)
        query = (
            select(*columns)  # type: ignore[call-overload]
            .where(row.c.endpoint == endpoint, _waits(row.c.state), ready, ~before)
            .order_by(row.c.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return [FeedEvent.model_validate(dict(one)) for one in session.execute(query).mappings()]

    def settle(self, endpoint: str, tried: Sequence[Tried], *, now: datetime, park_after: timedelta) -> None:
        """Records attempts: what was acknowledged is delivered for good.

        What has failed for `park_after` is parked when the receiver refused it, or took others meanwhile.
        """
        row = table(FeedEventRow)
        this = (row.c.id == bindparam("number"), _waits(row.c.state))
        attempt = {"attempts": row.c.attempts + 1, "detail": bindparam("said")}
        taken = [{"number": one.number, "said": one.detail} for one in tried if one.acknowledged]
        lost = [
            {"number": one.number, "said": one.detail, "no": one.refused, "then": one.next_at}
            for one in tried
            if not one.acknowledged
        ]
        with self._database.write() as session:
            if taken:
                done = {**attempt, "state": DELIVERED, "settled_at": now}
                session.connection().execute(update(row).where(*this).values(done), taken)
            if not lost:
                return
            since = func.coalesce(row.c.failing_since, now)
            again = {**attempt, "refused": bindparam("no"), "next_at": bindparam("then"), "failing_since": since}
            session.connection().execute(update(row).where(*this).values(again), lost)
            last = select(func.max(FeedEventRow.settled_at)).where(
                FeedEventRow.endpoint == endpoint, FeedEventRow.state == DELIVERED
            )
            session.execute(
                update(FeedEventRow)
                .where(
                    col(FeedEventRow.id).in_([one["number"] for one in lost]),
                    col(FeedEventRow.failing_since) <= now - park_after,
                    col(FeedEventRow.refused) | (col(FeedEventRow.failing_since) < last.scalar_subquery()),
                )
                .values(state=PARKED, settled_at=now)
            )

    def parked_at(self, endpoint: str) -> datetime | None:
        """Returns when the last event was parked that still is."""
        parked = (FeedEventRow.endpoint == endpoint, FeedEventRow.state == PARKED)
        with self._database.read() as session:
            return session.exec(select(func.max(FeedEventRow.settled_at)).where(*parked)).one()

    def retry(self, endpoint: str) -> int:
        """Lets what was parked be tried again from the start, and returns how many events that are."""
        mine = (col(FeedEventRow.endpoint) == endpoint, col(FeedEventRow.state) == PARKED)
        anew = {"state": WAITING, "refused": False, "failing_since": None, "next_at": None, "settled_at": None}
        with self._database.write() as session:
            done = session.execute(update(FeedEventRow).where(*mine).values(**anew))
            return int(done.rowcount)  # type: ignore[attr-defined]

    def tidy(self, endpoint: str, *, now: datetime) -> None:
        """Deletes what was delivered long ago."""
        row = table(FeedEventRow)
        old = (row.c.endpoint == endpoint, row.c.state == DELIVERED, row.c.settled_at < now - KEEP)
        with self._database.write() as session:
            session.execute(delete(row).where(*old))

    def standings(self) -> list[EndpointStanding]:
        """Returns how far every system has been told, by name."""
        with self._database.read() as session:
            endpoints = session.exec(select(FeedEndpointRow).order_by(col(FeedEndpointRow.name)))
            return [_standing(session, row) for row in endpoints]


def _waits(state: ColumnElement[str]) -> ColumnElement[bool]:
    # Written into the statement: an index over part of a table is used for nothing else.
    return state == literal_column(f"'{WAITING}'")


def _standing(session: Session, endpoint: FeedEndpointRow) -> EndpointStanding:
    row = table(FeedEventRow)
    mine = row.c.endpoint == endpoint.name
    open_, tried, done = (mine & _waits(row.c.state), row.c.attempts > 0, mine & (row.c.state == DELIVERED))
    counts = select(func.count(), func.min(row.c.at), func.count().filter(tried)).where(open_)
    waiting, oldest, failing = session.execute(counts).one()
    said = select(row.c.detail).where(open_, tried).order_by(row.c.next_at.desc()).limit(1)
    delivered, last = session.execute(select(func.count(), func.max(row.c.settled_at)).where(done)).one()
    parked = select(FeedEventRow).where(mine, row.c.state == PARKED).order_by(row.c.id)
    return EndpointStanding(
        name=endpoint.name,
        types=tuple(endpoint.types),
        since=endpoint.since,
        waiting=waiting,
        oldest=oldest,
        failing=failing,
        last_detail=session.execute(said).scalar() or "",
        delivered=delivered,
        last_delivered_at=last,
        parked=tuple(_parked(one) for one in session.exec(parked)),
    )


def _parked(row: FeedEventRow) -> ParkedEvent:
    return ParkedEvent(
        id=row.event_id,
        type=row.type,
        outreach=row.outreach_id,
        at=row.at,
        attempts=row.attempts,
        detail=row.detail,
        parked_at=row.settled_at or row.at,
    )
