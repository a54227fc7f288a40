"""Receivers: who got a step, read from the effect log, and the audience that is made of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Subquery, func, literal, tuple_
from sqlalchemy import select as select_columns
from sqlmodel import col, insert, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel, SendState
from tellfirst.domain.recipient import ELIGIBLE, Recipient
from tellfirst.store.engine import Database
from tellfirst.store.opening import RECEIVED
from tellfirst.store.rows import of_send, read_recipient
from tellfirst.store.statements import table
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow

CHUNK = 2_000


class StepSend(Frozen):
    """Is one send of a step, by reference; `at` is when its request was made."""

    customer: str
    subject_key: str
    revision: int
    channel: str
    state: SendState
    reason: str
    at: datetime | None


class Receivers:
    """Reads who got a step, and makes them the audience of a further revision."""

    def __init__(self, database: Database, *, chunk: int = CHUNK) -> None:
        self._database, self._chunk = database, chunk

    def steps(self, outreach: str) -> list[str]:
        """Returns the steps of which the effect log knows anything."""
        query = select(SendRow.step).where(SendRow.outreach_id == outreach).distinct().order_by(SendRow.step)
        with self._database.read() as session:
            return list(session.exec(query))

    def sends(self, outreach: str, step: str) -> Iterator[list[StepSend]]:
        """Yields all sends of a step, in the order of its revisions and their audiences."""
        revision, position, page = 0, -1, -1
        place = tuple_(col(RecipientRow.revision), col(RecipientRow.position))
        while True:
            # One recipient may have sends on several channels, each on a page of its own.
            beyond = (place > (revision, position)) | (col(SendRow.page) > page)
            query = (
                select(SendRow, RecipientRow.subject_key, RecipientRow.position)
                .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
                .where(
                    RecipientRow.outreach_id == outreach,
                    SendRow.step == step,
                    place >= (revision, position),
                    beyond,
                )
                .order_by(col(RecipientRow.revision), col(RecipientRow.position), col(SendRow.page))
                .limit(self._chunk)
            )
            with self._database.read() as session:
                found = list(session.exec(query))
            if not found:
                return
            yield [_send(row, key) for row, key, _ in found]
            revision, position, page = found[-1][0].revision, found[-1][2], found[-1][0].page

    def revisions(self, outreach: str, step: str) -> list[int]:
        """Returns the revisions of which anybody received a step."""
        query = (
            select(SendRow.revision)
            .where(SendRow.outreach_id == outreach, SendRow.step == step, col(SendRow.state).in_(RECEIVED))
            .distinct()
            .order_by(col(SendRow.revision))
        )
        with self._database.read() as session:
            return list(session.exec(query))

    def read_in(self, outreach: str, step: str) -> dict[tuple[Channel, str], int]:
        """Returns how many customers received a step, by channel and by the locale that they read it in."""
        first = _receivers(outreach, step)
        query = (
            select(first.c.channel, first.c.locale, func.count())
            .where(first.c.place == 1)
            .group_by(first.c.channel, first.c.locale)
            .order_by(first.c.channel, first.c.locale)
        )
        with self._database.read() as session:
            return {(channel, locale): count for channel, locale, count in session.execute(query)}

    def copy(self, outreach: str, revision: int, step: str) -> None:
        """Makes everybody who received a step a recipient of `revision`, once, as they were written to then.

        Who was told more than once is written to once, and their further affected things are counted.
        """
        row, first = table(RecipientRow), _receivers(outreach, step)
        kept = ("customer_id", "subject_key", "channel", "locale", "timezone", "cluster", "facts", "address_digest")
        columns: dict[str, ColumnElement[Any]] = {
            "outreach_id": literal(outreach),
            "revision": literal(revision),
            "position": func.row_number().over(order_by=first.c.id) - 1,
            "verdict": literal(ELIGIBLE),
            "others": first.c.everything - 1,
            **{name: first.c[name] for name in (*kept, "share", "cleared_at")},
        }
        with self._database.write() as session:
            chosen = select_columns(*columns.values()).where(first.c.place == 1)
            session.execute(insert(row).from_select(list(columns), chosen))

    def copied(self, outreach: str, revision: int) -> Iterator[list[Recipient]]:
        """Yields the recipients of a revision in the order of their positions."""
        last = -1
        while True:
            query = (
                select(RecipientRow)
                .where(
                    RecipientRow.outreach_id == outreach,
                    RecipientRow.revision == revision,
                    col(RecipientRow.position) > last,
                )
                .order_by(col(RecipientRow.position))
                .limit(self._chunk)
            )
            with self._database.read() as session:
                found = [read_recipient(row) for row in session.exec(query)]
            if not found:
                return
            yield found
            last = found[-1].position

    def tell_all(self, outreach: str, revision: int, *, first: int, end: int) -> None:
        """Lets everybody on the pages from `first` up to before `end` be written to: they were drawn before."""
        waiting = (
            col(RecipientRow.outreach_id) == outreach,
            col(RecipientRow.revision) == revision,
            col(RecipientRow.verdict) == ELIGIBLE,
            col(RecipientRow.page) >= first,
            col(RecipientRow.page) < end,
            col(RecipientRow.withheld).is_(None),
        )
        with self._database.write() as session:
            session.execute(update(RecipientRow).where(*waiting).values(arm="treated"))


def _receivers(outreach: str, step: str) -> Subquery:
    """Returns the recipients who received a step, ranked per customer; of one who was forgotten nothing is left."""
    row, send, by = table(RecipientRow), table(SendRow), table(AlternateRow)
    customer = row.c.customer_id
    # As it reached them: by the alternate channel where it went by one.
    reached = {name: func.coalesce(by.c[name], row.c[name]) for name in ("channel", "locale", "address_digest")}
    everything = func.sum(row.c.others).over(partition_by=customer) + func.count().over(partition_by=customer)
    return (
        select_columns(
            *(reached[column.name].label(column.name) if column.name in reached else column for column in row.c),
            func.row_number().over(partition_by=customer, order_by=row.c.id).label("place"),
            everything.label("everything"),
        )
        .join(send, send.c.recipient_id == row.c.id)
        .join(by, of_send(), isouter=True)
        .where(send.c.outreach_id == outreach, send.c.step == step, send.c.state.in_(RECEIVED), row.c.leaf.is_(None))
        .subquery()
    )


def _send(row: SendRow, subject_key: str) -> StepSend:
    return StepSend(
        customer=row.customer_id,
        subject_key=subject_key,
        revision=row.revision,
        channel=row.channel,
        state=SendState(row.state),
        reason=row.reason,
        at=row.intent_at,
    )
