"""What a call is about, so that it can be said again: no text is kept, only what it was made of."""

from sqlmodel import col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.recipient import Recipient
from tellfirst.store.engine import Database
from tellfirst.store.rows import of_send, read_recipient
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow


class Call(Frozen):
    """Is one message that is read out: whose it is, and where its words stand."""

    outreach: str
    revision: int
    step: str
    recipient: Recipient


class Calls:
    """Finds calls by their send."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, send: str) -> Call | None:
        """Returns what a send says to whom; None for one that is not there."""
        query = (
            select(SendRow, RecipientRow, AlternateRow)
            .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
            .join(AlternateRow, of_send(), isouter=True)
            .where(SendRow.id == send)
        )
        with self._database.read() as session:
            found = session.exec(query).first()
            if found is None:
                return None
            row, recipient, by = found
            return Call(
                outreach=row.outreach_id,
                revision=row.revision,
                step=row.step,
                recipient=read_recipient(recipient, by),
            )
