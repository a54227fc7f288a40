"""What the dashboard shows: set-based reads in one snapshot, of counts and instants and of nobody's words."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import col

from tellfirst.domain.base import Frozen
from tellfirst.store.controls import Control
from tellfirst.store.dashboard_page import OutreachPage, read_page
from tellfirst.store.dashboard_sending import Live, Promised, read_counts, read_live, read_plans, read_promises
from tellfirst.store.dashboard_waits import Snag, Wait, read_snags, read_waits
from tellfirst.store.dashboard_warnings import Answered, Warned, read_answers, read_warnings
from tellfirst.store.engine import Database
from tellfirst.store.sending import Sending, read_sending, read_speeds
from tellfirst.store.tables import ControlRow, OutreachRow


class Front(Frozen):
    """Is the front page, the most pressing first in each list."""

    controls: tuple[Control, ...]
    warnings: tuple[Warned, ...]
    waits: tuple[Wait, ...]
    promises: tuple[Promised, ...]
    live: tuple[Live, ...]
    snags: tuple[Snag, ...]
    answers: tuple[Answered, ...]
    running: int


class Dashboard:
    """Reads for the dashboard; writes nothing. `rates` of channels hold where nobody has set another."""

    def __init__(self, database: Database, rates: Mapping[str, float] | None = None) -> None:
        self._database, self._rates = database, dict(rates or {})

    def front(self, *, now: datetime) -> Front:
        """Returns the front page as of `now`."""
        with self._database.read() as session:
            plans = read_plans(session, now)
            counts = read_counts(session, sorted({outreach for outreach, _ in plans}))
            running = select(func.count()).where(col(OutreachRow.closed_at).is_(None))
            return Front(
                controls=tuple(Control(**row.model_dump()) for row in session.scalars(select(ControlRow))),
                warnings=read_warnings(session, now),
                waits=read_waits(session),
                promises=read_promises(session, plans, counts, now),
                live=read_live(session, plans, counts, self._rates, now),
                snags=read_snags(session, now),
                answers=read_answers(session, now),
                running=session.execute(running).scalar_one(),
            )

    def outreach(self, outreach: str) -> OutreachPage | None:
        """Returns the page of one outreach, or None when there is none of that name."""
        with self._database.read() as session:
            return read_page(session, outreach)

    def sending(self, outreach: str, *, now: datetime) -> Sending | None:
        """Returns how an outreach is leaving as of `now`, or None when nothing of it is."""
        with self._database.read() as session:
            speed = read_speeds(session, now, outreach).get(outreach)
            return read_sending(session, outreach, self._rates, now=now, speed=speed)
