"""Settling sends: answers, receipts and what reconciliation found; only an intent can be settled, and only once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, null, or_, true
from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.domain.recipient import Recipient
from tellfirst.store.engine import Database
from tellfirst.store.rows import of_send, read_recipient
from tellfirst.store.statements import alone, table
from tellfirst.store.tables import ContactPointRow, ReceiptRow, RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.telling import tell_sends

UNASKED = (SendState.PLANNED, SendState.DEFERRED)
"""States of a message that provably nobody sent: it may leave later."""
_SENDS, _PEOPLE = table(SendRow), table(RecipientRow)
_FORGOTTEN = select(_PEOPLE.c.id).where(_PEOPLE.c.id == _SENDS.c.recipient_id, _PEOPLE.c.leaf.is_not(None))
DOUBTED = (
    update(_SENDS)
    .where(_SENDS.c.id == bindparam("send"), _SENDS.c.state == SendState.INTENT)
    .values(
        reason=bindparam("why"),
        # All texts can be tried against a bare hash: of a customer who was forgotten meanwhile none is kept.
        body_digest=case((_FORGOTTEN.correlate(_SENDS).exists(), ""), else_=bindparam("body")),
    )
)
ANSWERED = DOUBTED.values(
    state=bindparam("known"),
    provider_id=bindparam("sid"),
    settled_at=bindparam("now"),
    intent_at=case((or_(*(bindparam("known") == state for state in UNASKED)), null()), else_=_SENDS.c.intent_at),
    deferred_until=bindparam("until"),
)
"""What becomes of a micro-batch's intents, written once."""


class OpenSend(Frozen):
    """Is one send whose answer is not known."""

    id: str
    recipient: Recipient
    address: str
    adapter: str
    intent_at: datetime


class Settlement(Frozen):
    """Is what became of one send."""

    id: str
    state: SendState
    reason: str = ""
    provider_id: str = ""
    deferred_until: datetime | None = None


class Doubts:
    """Keeps what is not known of messages that may have left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_doubt(
        self, outreach: str, step: str, channel: str, limit: int = 500, *, revision: int | None = None, after: str = ""
    ) -> list[OpenSend]:
        """Returns intents without an answer, of one revision or of all, in the order of their ids from `after` on."""
        query = (
            select(SendRow, RecipientRow, AlternateRow, ContactPointRow.address)
            .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
            .join(AlternateRow, of_send(), isouter=True)
            .join(
                ContactPointRow,
                and_(
                    col(ContactPointRow.customer_id) == col(SendRow.customer_id),
                    col(ContactPointRow.channel) == col(SendRow.channel),
                ),
                isouter=True,
            )
            .where(
                SendRow.outreach_id == outreach,
                SendRow.step == step,
                SendRow.channel == channel,
                SendRow.state == SendState.INTENT,
                SendRow.id > after,
            )
            .order_by(col(SendRow.id))
            .limit(limit)
        )
        if revision is not None:
            query = query.where(SendRow.revision == revision)
        with self._database.read() as session:
            return [
                OpenSend(
                    id=send.id,
                    recipient=read_recipient(row, by),
                    address=address or "",
                    adapter=send.adapter,
                    intent_at=send.intent_at,
                )
                for send, row, by, address in session.exec(query)
                if send.intent_at is not None
            ]

    def resolve(self, settlements: Sequence[Settlement], *, now: datetime) -> int:
        """Records what reconciliation found and returns how many sends that settled.

        Only an intent can still be resolved. A provider id that another send of the adapter has already is proof of
        that one alone (a look-up can meet an earlier message with the same text): the send then stays in doubt.
        """
        with self._database.write() as session:
            alone(session, "adopt a provider id")
            return sum(settle(session, one, now=now, body_digest="", only=_unclaimed(one)) for one in settlements)

    def receipts_of(self, send: str) -> list[tuple[str, str]]:
        """Returns (provider id, status) of every event that names this send, of the provider it was given to."""
        given_to = select(SendRow.adapter).where(SendRow.id == send).scalar_subquery()
        with self._database.read() as session:
            query = select(ReceiptRow.provider_id, ReceiptRow.status).where(
                ReceiptRow.send_id == send, ReceiptRow.provider == given_to
            )
            return [(provider_id, status) for provider_id, status in session.exec(query)]


def _unclaimed(one: Settlement) -> ColumnElement[bool]:
    if not one.provider_id:
        return true()
    send, other = table(SendRow), table(SendRow).alias()
    has_it = (other.c.provider_id == one.provider_id, other.c.adapter == send.c.adapter, other.c.id != send.c.id)
    return ~select(other.c.id).where(*has_it).correlate(send).exists()


def settle(
    session: Session, one: Settlement, *, now: datetime, body_digest: str, only: ColumnElement[bool] | None = None
) -> bool:
    """Records one answer inside a transaction and returns whether it still could; an ambiguous one keeps its intent.

    What was provably not sent and is planned again has been asked for by nobody yet: its intent is forgotten.
    """
    if one.state is SendState.INTENT:
        values: dict[str, object] = {"reason": one.reason}
    else:
        values = {"state": one.state, "reason": one.reason, "provider_id": one.provider_id, "settled_at": now}
        if one.state in UNASKED:
            values |= {"intent_at": None, "deferred_until": one.deferred_until}
    if body_digest:
        values["body_digest"] = body_digest
    still = (col(SendRow.id) == one.id, col(SendRow.state) == SendState.INTENT, true() if only is None else only)
    done = session.execute(update(SendRow).where(*still).values(**values))
    if settled := bool(done.rowcount):  # type: ignore[attr-defined]
        tell_sends(session, [one.id], at=now)
    return settled


def settle_batch(
    session: Session, settlements: Sequence[Settlement], *, now: datetime, bodies: Mapping[str, str]
) -> None:
    """Records the answers of a micro-batch together, as `settle` does one."""
    answers: list[dict[str, Any]] = []
    doubts: list[dict[str, Any]] = []
    for one in settlements:
        values = {"send": one.id, "why": one.reason, "body": bodies.get(one.id, ""), "now": now}
        if one.state is SendState.INTENT:
            doubts.append(values)
        else:
            answers.append({**values, "known": one.state, "sid": one.provider_id, "until": one.deferred_until})
    if answers:
        session.connection().execute(ANSWERED, answers)
        tell_sends(session, [one["send"] for one in answers], at=now)
    if doubts:
        session.connection().execute(DOUBTED, doubts)
