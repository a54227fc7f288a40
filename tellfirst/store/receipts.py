"""Receipts: raw provider events as they came, and the one way in which they move a send."""

from datetime import datetime

from sqlmodel import col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, insert_new, table
from tellfirst.store.tables import ReceiptRow, SendRow

# What a receipt may change, by what the receipts amount to: always forwards, so that any order ends alike. It never
# touches a send that was not let go, nor one whose request was refused.
_FROM = {
    SendState.ACCEPTED: (SendState.INTENT, SendState.UNKNOWN),
    SendState.UNDELIVERED: (SendState.INTENT, SendState.UNKNOWN, SendState.ACCEPTED),
    SendState.DELIVERED: (SendState.INTENT, SendState.UNKNOWN, SendState.ACCEPTED, SendState.UNDELIVERED),
}


class Receipt(Frozen):
    """Is one provider event about one message; `send` is our id for it, empty when the event does not name it."""

    provider: str
    provider_id: str
    status: str
    error: str = ""
    send: str = ""


class Receipts:
    """Keeps provider events and moves sends by them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, receipt: Receipt, *, now: datetime) -> bool:
        """Keeps an event, also about a send nobody knows; returns whether it is new."""
        row = {
            "provider": receipt.provider,
            "provider_id": receipt.provider_id,
            "send_id": receipt.send or None,
            "status": receipt.status,
            "error": receipt.error,
            "received_at": now,
        }
        with self._database.write() as session:
            return insert_new(session, ReceiptRow, [row]) == 1

    def of_message(self, provider: str, provider_id: str) -> list[tuple[str, str]]:
        """Returns (status, error) of every event about a message."""
        query = (
            select(ReceiptRow.status, ReceiptRow.error)
            .where(ReceiptRow.provider == provider, ReceiptRow.provider_id == provider_id)
            .order_by(col(ReceiptRow.id))
        )
        with self._database.read() as session:
            return [(status, error) for status, error in session.exec(query)]

    def apply(self, send: str, provider_id: str, state: SendState, *, reason: str, now: datetime) -> bool:
        """Moves the send of a message forwards to `state` and returns whether it moved.

        The send is the one that has this provider id; when none has, it is `send`, if that is in doubt: the receipt
        proves that it was accepted, and its provider id is adopted. Nothing else is changed.
        """
        if state not in _FROM:
            return False
        may, other = col(SendRow.state).in_(_FROM[state]), table(SendRow).alias("other")
        moved = update(SendRow).values(state=state, provider_id=provider_id, reason=reason, settled_at=now)
        with self._database.write() as session:
            done = session.execute(moved.where(col(SendRow.provider_id) == provider_id, may))
            if not done.rowcount and send:  # type: ignore[attr-defined]
                alone(session, "adopt a provider id")
                taken = select(other.c.id).where(other.c.provider_id == provider_id).exists()
                doubtful = col(SendRow.state).in_([SendState.INTENT, SendState.UNKNOWN])
                nameless = col(SendRow.provider_id) == ""
                done = session.execute(moved.where(col(SendRow.id) == send, doubtful, nameless, may, ~taken))
            return bool(done.rowcount)  # type: ignore[attr-defined]
