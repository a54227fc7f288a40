"""What customers chose themselves: channel, language, zone and quiet hours."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam
from sqlmodel import Session

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks, table
from tellfirst.store.tables import CustomerRow, RecipientRow, SendRow
from tellfirst.store.tables_preferences import PreferenceRow

_CHOICES = table(PreferenceRow)
CHOSEN = _CHOICES.select().where(_CHOICES.c.customer_id.in_(bindparam("customers", expanding=True)))


class Preference(Frozen):
    """Is one customer's choice; `quiet` is from and to in minutes after local midnight, and may run past it."""

    channel: str | None = None
    locale: str | None = None
    timezone: str | None = None
    quiet: tuple[int, int] | None = None


NONE = Preference()


class Told(Frozen):
    """Is who was told by one send, by which channel, and which languages are theirs, the surest first."""

    send: str
    customer: str
    channel: str
    locales: tuple[str, ...]


class Preferences:
    """Keeps what customers chose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, customer: str) -> Preference:
        """Returns what a customer chose."""
        with self._database.read() as session:
            return preferences_of(session, [customer]).get(customer, NONE)

    def choose(self, customer: str, preference: Preference, *, at: datetime) -> None:
        """Replaces what a customer chose."""
        with self._database.write() as session:
            keep_choice(session, customer, preference, at=at)

    def told(self, send: str) -> Told | None:
        """Returns who was told by a send, None for one that there is not."""
        with self._database.read() as session:
            row = session.get(SendRow, send)
            if row is None:
                return None
            chosen = preferences_of(session, [row.customer_id]).get(row.customer_id, NONE)
            # A message may have been in another language than its reader's, for want of a text in theirs.
            imported, recipient = session.get(CustomerRow, row.customer_id), session.get(RecipientRow, row.recipient_id)
            found = (chosen.locale, imported and imported.locale, recipient and recipient.locale)
            return Told(send=send, customer=row.customer_id, channel=row.channel, locales=tuple(filter(None, found)))


def keep_choice(session: Session, customer: str, preference: Preference, *, at: datetime) -> None:
    """Replaces what a customer chose, within the session's transaction."""
    quiet_from, quiet_to = preference.quiet or (None, None)
    row = session.get(PreferenceRow, customer) or PreferenceRow(customer_id=customer, at=at)
    row.channel, row.locale, row.timezone = preference.channel, preference.locale, preference.timezone
    row.quiet_from, row.quiet_to, row.at = quiet_from, quiet_to, at
    session.add(row)


def preferences_of(session: Session, customers: Sequence[str]) -> dict[str, Preference]:
    """Returns the choices of those who made any, within the session's transaction."""
    found: dict[str, Preference] = {}
    for chunk in chunks(customers):
        for row in session.execute(CHOSEN, {"customers": chunk}):
            quiet = None if row.quiet_from is None or row.quiet_to is None else (row.quiet_from, row.quiet_to)
            found[row.customer_id] = Preference(
                channel=row.channel, locale=row.locale, timezone=row.timezone, quiet=quiet
            )
    return found
