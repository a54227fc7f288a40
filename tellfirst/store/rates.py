"""Rates: how much leaves on a channel in a second, from all processes together, whatever is urgent first."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables_rates import RateRow

YIELD = timedelta(seconds=2)
"""How long whatever is not urgent steps back after an urgent one had to wait: longer than those who wait look again."""

LONGEST = timedelta(minutes=1)
"""Longer than anything that is taken at once lasts, unless that is one message at a slow pace."""
LONGEST_TEXT = 10
"""More units than any one message has."""
SKEW = timedelta(seconds=2)
"""By how much clocks may differ that are believed."""


class Rate(Frozen):
    """Is the pace of one channel: units a second, None for no limit; `by` and `at` where people set it."""

    per_second: float | None = None
    by: str = ""
    at: datetime | None = None


class Rates:
    """Hands out the time of channels; `defaults` holds while nobody has set another pace."""

    def __init__(self, database: Database, defaults: Mapping[str, float] | None = None) -> None:
        self._database, self._defaults = database, dict(defaults or {})

    def of(self, channel: str) -> Rate:
        """Returns the pace of a channel."""
        with self._database.read() as session:
            return self._rate(session.get(RateRow, channel), channel)

    def take(self, channel: str, units: float, *, now: datetime, urgent: bool = False) -> float:
        """Takes the time that `units` need and returns 0, or returns the seconds until it is worth asking again.

        Time that was not used is not made up for. `now` comes from clocks that agree within a second or so; what a
        wrong one wrote holds nobody up.
        """
        with self._database.read() as session:
            row = session.get(RateRow, channel)
        rate = self._rate(row, channel).per_second
        if rate is None:
            return 0.0
        if row is None or not (wait := _wait(row, now, rate, urgent=urgent)):
            with self._database.write() as session:
                insert_new(session, RateRow, [{"channel": channel}])
                row = session.get(RateRow, channel, with_for_update=True)
                assert row is not None  # noqa: S101 - inserted just now
                # Another process may have been quicker since we looked.
                if not (wait := _wait(row, now, rate, urgent=urgent)):
                    row.free_at = now + timedelta(seconds=units / rate)
                    session.add(row)
                    return 0.0
        if urgent:
            with self._database.write() as session:
                session.execute(update(RateRow).where(col(RateRow.channel) == channel).values(urgent_at=now))
        return wait

    def change(self, channel: str, per_second: float | None, *, by: str, at: datetime) -> None:
        """Sets the pace of a channel at once and for every process: 0 for no limit, None for that of the settings."""
        given = {"per_second": per_second, "by": by, "at": at}
        with self._database.write() as session:
            if not insert_new(session, RateRow, [{"channel": channel, **given}]):
                # What was taken at the old pace must not keep a faster one waiting.
                changed = update(RateRow).where(col(RateRow.channel) == channel)
                session.execute(changed.values(**given, free_at=at))

    def all(self) -> dict[str, Rate]:
        """Returns the pace of every channel that has one, by channel."""
        with self._database.read() as session:
            rows = {row.channel: row for row in session.exec(select(RateRow))}
        return {channel: self._rate(rows.get(channel), channel) for channel in sorted({*rows, *self._defaults})}

    def _rate(self, row: RateRow | None, channel: str) -> Rate:
        default = self._defaults.get(channel)
        if row is None or row.per_second is None:
            return Rate(per_second=default)
        return Rate(per_second=row.per_second or None, by=row.by, at=row.at)


def read_limits(session: Session, defaults: Mapping[str, float]) -> dict[str, float]:
    """Returns the pace of channels that have one, in units a second: that which people set, else that of `defaults`."""
    given = {row.channel: row.per_second for row in session.exec(select(RateRow)) if row.per_second is not None}
    return {channel: rate for channel, rate in {**defaults, **given}.items() if rate}


def _wait(row: RateRow, now: datetime, rate: float, *, urgent: bool) -> float:
    longest = max(LONGEST, timedelta(seconds=LONGEST_TEXT / rate))
    free_at = row.free_at if row.free_at is not None and now < row.free_at <= now + longest else now
    if not urgent and row.urgent_at is not None and row.urgent_at <= now + SKEW:
        free_at = max(free_at, row.urgent_at + YIELD)
    return (free_at - now).total_seconds()
