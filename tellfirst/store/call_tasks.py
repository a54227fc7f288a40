"""Call tasks: what a person of ours is to tell an account of high value, and whether they reached them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func
from sqlmodel import col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Outbound
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import ContactPointRow, CustomerRow, SendRow
from tellfirst.store.tables_call_tasks import CallTaskRow

KEEP = timedelta(days=7)
"""How long after its time the script of a call that nobody made is kept."""


class CallTask(Frozen):
    """Is one call to make, or made; `address` is the number as it is known now, empty where there is none."""

    id: str
    outreach: str
    step: str
    customer: str
    locale: str
    script: str
    address: str
    asked_at: datetime
    until: datetime
    done_at: datetime | None
    reached: bool | None
    by: str


class CallTasks:
    """Keeps the calls; the send id is the key, so one asked for twice is one call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deliver(self, messages: Sequence[Outbound], *, now: datetime) -> set[str]:
        """Asks for calls and returns the send ids of those that are there now.

        One that is there already stays as it is; one that is too late, or to a customer who is not known, is left out.
        """
        with self._database.write() as session:
            wanted = {message.customer for message in messages}
            # Locked: one who is forgotten meanwhile is gone from here, or their calls are deleted with them.
            known = set(
                session.exec(
                    select(CustomerRow.id)
                    .where(col(CustomerRow.id).in_(wanted))
                    .with_for_update(read=True, key_share=True)
                )
            )
            session.execute(update(CallTaskRow).where(col(CallTaskRow.until) <= now - KEEP).values(script=""))
            rows = [
                {
                    "send_id": message.send_id,
                    "customer_id": message.customer,
                    "locale": message.locale,
                    "script": message.rendered.body,
                    "asked_at": now,
                    "until": message.not_after,
                    "by": "",
                }
                for message in messages
                if message.customer in known and message.not_after > now
            ]
            insert_new(session, CallTaskRow, rows)
            ids = [message.send_id for message in messages]
            return set(session.exec(select(CallTaskRow.send_id).where(col(CallTaskRow.send_id).in_(ids))))

    def standing_of(self, send: str) -> str:
        """Returns `asked`, `reached` or `not_reached`; empty for a call that nobody asked for."""
        with self._database.read() as session:
            row = session.get(CallTaskRow, send)
        if row is None:
            return ""
        return "asked" if row.reached is None else "reached" if row.reached else "not_reached"

    def open(self) -> list[CallTask]:
        """Returns the calls still to make, the most pressing first, without what to say and whom to dial."""
        row = CallTaskRow
        query = _tasks().where(col(row.done_at).is_(None)).order_by(col(row.until), col(row.send_id))
        with self._database.read() as session:
            hidden = {"script": "", "address": ""}
            return [_task(*found).model_copy(update=hidden) for found in session.execute(query)]

    def waiting(self, outreach: str, revision: int, step: str) -> int:
        """Returns how many calls of a step nobody has made yet."""
        query = (
            select(func.count())
            .select_from(CallTaskRow)
            .join(SendRow, col(SendRow.id) == col(CallTaskRow.send_id))
            .where(
                SendRow.outreach_id == outreach,
                SendRow.revision == revision,
                SendRow.step == step,
                col(CallTaskRow.done_at).is_(None),
            )
        )
        with self._database.read() as session:
            return session.exec(query).one()

    def named(self, name: str) -> list[CallTask]:
        """Returns the calls whose id begins so, two at most, with what to say and whom to dial."""
        query = _tasks().where(col(CallTaskRow.send_id).startswith(name, autoescape=True)).limit(2)
        with self._database.read() as session:
            return [_task(*found) for found in session.execute(query)]

    def done(self, call: str, *, reached: bool, by: str, now: datetime) -> bool:
        """Records how a call went, and forgets what was to be said; returns False when it was recorded before."""
        waiting = (col(CallTaskRow.send_id) == call, col(CallTaskRow.done_at).is_(None))
        told = update(CallTaskRow).where(*waiting).values(done_at=now, reached=reached, by=by, script="")
        with self._database.write() as session:
            return bool(session.execute(told).rowcount)  # type: ignore[attr-defined]


def _tasks() -> Any:
    theirs = and_(
        col(ContactPointRow.customer_id) == col(CallTaskRow.customer_id),
        col(ContactPointRow.channel) == col(SendRow.channel),
    )
    return (
        select(CallTaskRow, SendRow, ContactPointRow.address)
        .join(SendRow, col(SendRow.id) == col(CallTaskRow.send_id))
        .join(ContactPointRow, theirs, isouter=True)
    )


def _task(row: CallTaskRow, send: SendRow, address: str | None) -> CallTask:
    return CallTask(
        id=row.send_id,
        outreach=send.outreach_id,
        step=send.step,
        customer=row.customer_id,
        locale=row.locale,
        script=row.script,
        address=address or "",
        asked_at=row.asked_at,
        until=row.until,
        done_at=row.done_at,
        reached=row.reached,
        by=row.by,
    )
