"""Leases: the right to send one page now; a fencing token shuts out whoever held it before."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlmodel import Session

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables import LeaseRow

_LEASES = table(LeaseRow)


class PageKey(Frozen):
    """Names one page of one step."""

    outreach: str
    revision: int
    step: str
    page: int


class FencedOffError(Exception):
    """Says that another worker has taken the page over: whatever we know of it may no longer be written."""


class Leases:
    """Gives pages to workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, key: PageKey, *, now: datetime, until: datetime) -> int | None:
        """Takes the page and returns the fencing token, or None while another worker holds it."""
        with self._database.write() as session:
            held = select(_LEASES.c.token, _LEASES.c.expires_at).where(*_lease_of(key)).with_for_update()
            row = session.execute(held).one_or_none()
            if row is None:
                made = insert_new(
                    session,
                    LeaseRow,
                    [
                        {
                            "outreach_id": key.outreach,
                            "revision": key.revision,
                            "step": key.step,
                            "page": key.page,
                            "token": 1,
                            "expires_at": until,
                        }
                    ],
                )
                return 1 if made else None
            if row.expires_at > now:
                return None
            token: int = row.token + 1
            session.execute(update(_LEASES).where(*_lease_of(key)).values(token=token, expires_at=until))
            return token

    def release(self, key: PageKey, token: int, *, now: datetime) -> None:
        """Gives the page back, so that the next worker need not wait."""
        with self._database.write() as session:
            session.execute(update(_LEASES).where(*_lease_of(key), _LEASES.c.token == token).values(expires_at=now))


def hold_lease(session: Session, key: PageKey, token: int, *, until: datetime | None = None) -> None:
    """Proves inside a transaction that the page is still ours; raises FencedOffError when it is not."""
    # The conditional update is the fence: it takes the row's lock, and whoever lost the page changes nothing.
    values = {"token": token} if until is None else {"token": token, "expires_at": until}
    held = session.execute(update(_LEASES).where(*_lease_of(key), _LEASES.c.token == token).values(**values))
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise FencedOffError


def _lease_of(key: PageKey) -> tuple[ColumnElement[bool], ...]:
    return (
        _LEASES.c.outreach_id == key.outreach,
        _LEASES.c.revision == key.revision,
        _LEASES.c.step == key.step,
        _LEASES.c.page == key.page,
    )
