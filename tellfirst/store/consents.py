"""What customers allow, as they say it: opt-outs with their scope, their way back, and choices."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func
from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import CustomerOptedOut
from tellfirst.policy.consent import Statement, closed_by
from tellfirst.store.engine import Database
from tellfirst.store.preferences import Preference, keep_choice
from tellfirst.store.statements import chunks, insert_new, table
from tellfirst.store.tables import ConsentRow, CustomerRow, SendRow
from tellfirst.store.tables_replies import HoldRow, ReplyRow
from tellfirst.store.telling import tell

WAITED = timedelta(seconds=30)
"""How long what a customer says may have waited for its transaction: a locked database refuses it long before."""


class Hold(Frozen):
    """Says since when nothing leaves to a customer, and for which reply."""

    customer: str
    reply: str
    outreach: str | None
    since: datetime


class Consents:
    """Records what customers say; `everything` is whether an opt-out on one channel closes all of them."""

    def __init__(self, database: Database, *, everything: bool = True) -> None:
        self._database, self.everything = database, everything

    def opt_out(self, customers: Iterable[str], *, channel: str, at: datetime, source: str) -> None:
        """Records an opt-out that came by `channel`, empty for none of ours; said again it changes nothing.

        One who was forgotten meanwhile gets nothing anyway.
        """
        with self._database.write() as session:
            opt_out(session, customers, channel=channel, everything=self.everything, at=at, source=source)

    def choose(
        self,
        customer: str,
        statements: Sequence[Statement],
        *,
        preference: Preference | None = None,
        at: datetime,
        source: str,
    ) -> None:
        """Records what a customer chose; whoever chooses is not held back any more."""
        with self._database.write() as session:
            say(session, [customer], statements, at=at, source=source)
            if preference is not None:
                keep_choice(session, customer, preference, at=at)
            release(session, [customer], at=at, by="customer")

    def holds(self) -> list[Hold]:
        """Returns who is held back, the longest first."""
        query = (
            select(HoldRow, ReplyRow.outreach_id)
            .join(ReplyRow, col(ReplyRow.id) == col(HoldRow.reply_id), isouter=True)
            .where(col(HoldRow.ended_at).is_(None))
            .order_by(col(HoldRow.since), col(HoldRow.id))
        )
        with self._database.read() as session:
            return [
                Hold(customer=row.customer_id, reply=row.reply_id, outreach=outreach, since=row.since)
                for row, outreach in session.exec(query)
            ]

    def end_hold(self, customer: str, *, opt_out: bool, by: str, at: datetime) -> list[str]:
        """Ends what holds a customer back, as an opt-out or as none; returns the replies that they were held for."""
        with self._database.write() as session:
            held = select(HoldRow.reply_id).where(HoldRow.customer_id == customer, col(HoldRow.ended_at).is_(None))
            found = list(session.exec(held))
            release(session, [customer], at=at, by=by)
            if found and opt_out:
                say(session, [customer], closed_by("", everything=True), at=at, source=f"hold ended by {by}"[:100])
            return found


def opt_out(
    session: Session, customers: Iterable[str], *, channel: str, everything: bool, at: datetime, source: str
) -> None:
    """Records an opt-out within the session's transaction."""
    say(session, customers, closed_by(channel, everything=everything), at=at, source=source)


def say(
    session: Session, customers: Iterable[str], statements: Sequence[Statement], *, at: datetime, source: str
) -> None:
    """Records the same statements of customers, of those who are known; what is said later counts later.

    Whoever hears it may have a clock behind that of whoever heard the last one: it is not said before that. Nor before
    what left while it waited for its transaction: no gate can have known of it then.
    """
    known: set[str] = set()
    last: dict[str, datetime] = {}
    said_at = select(ConsentRow.customer_id, func.max(ConsentRow.at)).group_by(col(ConsentRow.customer_id))
    for chunk in chunks(set(customers)):
        known.update(session.exec(select(CustomerRow.id).where(col(CustomerRow.id).in_(chunk))))
        for customer, latest in session.execute(said_at.where(col(ConsentRow.customer_id).in_(chunk))):
            last[customer] = latest
        for customer, left in session.execute(_left(chunk, at)):
            last[customer] = max(left, last.get(customer, left))
    silent = {customer for customer in known if not _said(session, customer, statements)}
    rows = [
        {"customer_id": customer, "at": _after(last.get(customer), at), "source": source, **statement.model_dump()}
        for customer in sorted(silent)
        for statement in statements
    ]
    insert_new(session, ConsentRow, rows)
    refused = [row for row in rows if not row["allowed"]]
    tell(session, *(CustomerOptedOut.model_validate({**row, "customer": row["customer_id"]}) for row in refused), at=at)


def _left(customers: Sequence[str], at: datetime) -> Select[tuple[str, datetime]]:
    send = table(SendRow).c
    meanwhile = send.customer_id.in_(customers), send.intent_at > at, send.intent_at < at + WAITED
    return select(send.customer_id, func.max(send.intent_at)).where(*meanwhile).group_by(send.customer_id)


def _after(last: datetime | None, at: datetime) -> datetime:
    return at if last is None else max(at, last + timedelta(microseconds=1))


def hold(session: Session, customers: Iterable[str], *, reply: str, at: datetime) -> None:
    """Holds customers back until a person has looked at a reply; of those who are held already nothing changes."""
    ids = list(customers)
    held = set(
        session.exec(
            select(HoldRow.customer_id).where(col(HoldRow.customer_id).in_(ids), col(HoldRow.ended_at).is_(None))
        )
    )
    known = set(session.exec(select(CustomerRow.id).where(col(CustomerRow.id).in_(ids))))
    session.add_all(HoldRow(customer_id=one, reply_id=reply, since=at) for one in sorted(known - held))


def release(session: Session, customers: Iterable[str], *, at: datetime, by: str) -> int:
    """Ends what holds customers back and returns how many holds that were."""
    held = col(HoldRow.customer_id).in_(list(customers)), col(HoldRow.ended_at).is_(None)
    done = session.execute(update(HoldRow).where(*held).values(ended_at=at, ended_by=by))
    return int(done.rowcount)  # type: ignore[attr-defined]


def _said(session: Session, customer: str, statements: Sequence[Statement]) -> bool:
    """Says whether the last thing a customer said is just this."""
    query = select(ConsentRow).where(ConsentRow.customer_id == customer).order_by(col(ConsentRow.id).desc())
    last = session.exec(query.limit(len(statements))).all()
    told = {Statement(channel=row.channel, purpose=row.purpose, allowed=row.allowed) for row in last}
    return len(last) == len(statements) and told == set(statements)
