"""Leases: the right to send one page now; a fencing token shuts out whoever held it before."""

from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlmodel import Session

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables import LeaseRow

_LEASES = table(LeaseRow)
_OF_PAGE = (
    _LEASES.c.outreach_id == bindparam("its_outreach"),
    _LEASES.c.revision == bindparam("its_revision"),
    _LEASES.c.step == bindparam("its_step"),
    _LEASES.c.page == bindparam("its_page"),
)
_OURS = (*_OF_PAGE, _LEASES.c.token == bindparam("ours"))
READ = select(_LEASES.c.token, _LEASES.c.expires_at).where(*_OF_PAGE).with_for_update()
TAKE = update(_LEASES).where(*_OF_PAGE).values(token=bindparam("next"), expires_at=bindparam("until"))
RENEW = update(_LEASES).where(*_OURS).values(expires_at=bindparam("until"))
HOLD = update(_LEASES).where(*_OURS).values(token=_LEASES.c.token)
"""Written once: they stand around every micro-batch. The last changes nothing, and takes the row's lock."""


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
        """Takes the page and returns the fencing token, or None while another worker holds it.

        `until` is as long after `now` as leases last: one that seems to last twice as long was written by a clock that
        has been set back since, and holds nobody up.
        """
        with self._database.write() as session:
            row = session.execute(READ, _names(key)).one_or_none()
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
            if now < row.expires_at <= until + (until - now):
                return None
            token: int = row.token + 1
            session.execute(TAKE, {**_names(key), "next": token, "until": until})
            return token

    def release(self, key: PageKey, token: int, *, now: datetime) -> None:
        """Gives the page back, so that the next worker need not wait."""
        with self._database.write() as session:
            session.execute(RENEW, {**_names(key), "ours": token, "until": now})


def hold_lease(session: Session, key: PageKey, token: int, *, until: datetime | None = None) -> None:
    """Proves inside a transaction that the page is still ours; raises FencedOffError when it is not."""
    # The conditional update is the fence: it takes the row's lock, and whoever lost the page changes nothing.
    ours = {**_names(key), "ours": token}
    held = session.execute(HOLD, ours) if until is None else session.execute(RENEW, {**ours, "until": until})
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise FencedOffError


def _names(key: PageKey) -> dict[str, str | int]:
    return {
        "its_outreach": key.outreach,
        "its_revision": key.revision,
        "its_step": key.step,
        "its_page": key.page,
    }
