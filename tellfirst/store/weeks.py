"""Contacts by week: what is left to look at where nobody was held out."""

from datetime import UTC, date, datetime

from sqlalchemy import BigInteger, ColumnElement, Integer, cast, func, select
from sqlmodel import Session

from tellfirst.measurement.series import WEEK, SeriesEvidence, Weekly, series_for
from tellfirst.store.contacts import OURS
from tellfirst.store.engine import Database
from tellfirst.store.statements import table
from tellfirst.store.tables import ContactRow, OutreachRow, RecipientRow, WatermarkRow

MONDAY = date(1970, 1, 5)
"""The Monday that weeks are counted from."""


class Weeks:
    """Counts contacts in full weeks, Monday to Sunday (UTC), from the first to what is complete of every source."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def evidence(self, reason: str) -> SeriesEvidence | None:
        """Returns what the weeks say about a reason, None where nobody was told about it yet.

        It is compared with all reasons together that no outreach was ever about: nobody chooses among them.
        """
        row, outreach, contact = table(RecipientRow), table(OutreachRow), table(ContactRow)
        first = (
            select(func.min(row.c.t0))
            .join(outreach, outreach.c.id == row.c.outreach_id)
            .where(outreach.c.reason_code == reason, row.c.arm.is_not(None))
        )
        touched = select(outreach.c.reason_code).distinct()
        with self._database.read() as session:
            begun = session.execute(first).scalar()
            if begun is None:
                return None
            weeks = _full_weeks(session)
            weekly = self._weekly(session, weeks, contact.c.reason_code == reason)
            others = self._weekly(session, weeks, contact.c.reason_code.not_in(touched))
        return series_for(reason, weekly, begun=begun, others=others)

    def _weekly(self, session: Session, weeks: range, about: ColumnElement[bool]) -> Weekly:
        at = table(ContactRow).c.occurred_at
        start, end = (_instant(week) for week in (weeks.start, weeks.stop))
        if self._database.is_sqlite:
            second: ColumnElement[int] = cast(func.strftime("%s", at), Integer)
        else:
            second = cast(func.floor(func.extract("epoch", at)), BigInteger)
        week = (second - int(_instant(0).timestamp())) // int(WEEK.total_seconds())
        query = select(week.label("week"), func.count()).where(about, at >= start, at < end).group_by("week")
        counts: dict[int, int] = {number: count for number, count in session.execute(query)}  # noqa: C416
        return Weekly(first=start.date(), counts=tuple(counts.get(number, 0) for number in weeks))


def _full_weeks(session: Session) -> range:
    """Returns the weeks that every source covers from Monday to Sunday, by number; none before all are complete."""
    contact, mark = table(ContactRow), table(WatermarkRow)
    begins = select(func.min(contact.c.occurred_at)).where(contact.c.source.not_in(OURS)).group_by(contact.c.source)
    starts = [at for at in session.execute(begins).scalars() if at is not None]
    through = session.execute(select(func.min(mark.c.at))).scalar()
    if not starts or through is None:
        return range(0)
    first = -((_instant(0) - max(starts)) // WEEK)
    return range(first, max(first, (through - _instant(0)) // WEEK))


def _instant(week: int) -> datetime:
    return datetime.combine(MONDAY + week * WEEK, datetime.min.time(), UTC)
