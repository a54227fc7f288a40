"""When a recipient may be disturbed: rules in local time, judged in every zone that may be theirs."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tellfirst.domain.base import Frozen

HORIZON = timedelta(days=14)
"""How far ahead an opening is looked for; rules that leave none within it never open."""
DAY = 1_440


class Span(Frozen):
    """Is a stretch of local time on some weekdays (0 is Monday): from minute `opens` to before minute `closes`."""

    days: frozenset[int]
    opens: int
    closes: int


class Calendar(Frozen):
    """Says when one recipient may be disturbed: where every rule has an open span, in every one of `zones`.

    Without rules that is always; with rules and without a zone it is never.
    """

    zones: tuple[str, ...] = ()
    rules: tuple[tuple[Span, ...], ...] = ()


ALWAYS = Calendar()


def opening(calendar: Calendar, at: datetime) -> datetime | None:
    """Returns the first instant (UTC) from `at` on at which the calendar is open; None when none is in sight.

    `at` itself when it is open then; else a whole minute.
    """
    if not calendar.rules:
        return at
    if not calendar.zones:
        return None
    if _open(calendar, at):
        return at
    minute = at.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = at + HORIZON
    while minute <= end:
        if _open(calendar, minute):
            return minute
        minute += timedelta(minutes=1)
    return None


def _open(calendar: Calendar, at: datetime) -> bool:
    return all(
        any(_within(span, at.astimezone(ZoneInfo(zone))) for span in spans)
        for zone in calendar.zones
        for spans in calendar.rules
    )


def _within(span: Span, local: datetime) -> bool:
    minute = _minute(local.timetz().replace(tzinfo=None))
    return local.weekday() in span.days and span.opens <= minute < span.closes


def _minute(local: time) -> int:
    return local.hour * 60 + local.minute
