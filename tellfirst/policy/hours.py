"""When a recipient may be disturbed: open spans of local time, when all are open next, and when one closes."""

from collections.abc import Iterator, Set
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tellfirst.domain.base import Frozen

HORIZON = timedelta(days=14)
"""How far ahead an opening is looked for; rules that leave none within it never open."""
ONE_DAY = timedelta(days=1)


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


# Those of one audience share few calendars, and all of a page are judged at one instant.
@lru_cache(maxsize=4_096)
def opening(calendar: Calendar, at: datetime) -> datetime | None:
    """Returns the first instant (UTC) from `at` on at which the calendar is open; None when none is in sight.

    `at` itself when it is open then.
    """
    if not calendar.rules:
        return at
    if not calendar.zones:
        return None
    if _open(calendar, at):
        return at
    start = at.astimezone(UTC)
    while start < at + HORIZON:
        for edge in _edges(calendar, {span.opens for spans in calendar.rules for span in spans}, start):
            if _open(calendar, edge):
                return edge
        start += ONE_DAY
    return None


@lru_cache(maxsize=4_096)
def closing(calendar: Calendar, at: datetime) -> datetime | None:
    """Returns the first instant (UTC) from `at` on at which the calendar is closed; None when none is in a day.

    `at` itself when it is closed then.
    """
    if not calendar.rules:
        return None
    if not _open(calendar, at):
        return at
    ends = {span.closes % (24 * 60) for spans in calendar.rules for span in spans}
    return next((edge for edge in _edges(calendar, ends, at.astimezone(UTC)) if not _open(calendar, edge)), None)


def _open(calendar: Calendar, at: datetime) -> bool:
    for zone in calendar.zones:
        local = at.astimezone(ZoneInfo(zone))
        day, minute = local.weekday(), local.hour * 60 + local.minute
        for spans in calendar.rules:
            if not any(day in span.days and span.opens <= minute < span.closes for span in spans):
                return False
    return True


def _edges(calendar: Calendar, minutes: Set[int], start: datetime) -> list[datetime]:
    """Returns every instant in the day after `start` at which a span can begin or end, given at which minutes."""
    end = start + ONE_DAY
    return sorted({edge for zone in calendar.zones for edge in _edges_in(ZoneInfo(zone), minutes, start, end)})


def _edges_in(zone: ZoneInfo, minutes: Set[int], start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.astimezone(zone).date()
    while day <= end.astimezone(zone).date():
        for minute in minutes:
            for edge in _instants(day, minute, zone):
                if start < edge <= end:
                    yield edge
        day += ONE_DAY
    # Where clocks are changed, a span is entered or left in the middle.
    if start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
        yield _change(zone, start, end)


def _instants(day: date, minute: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Returns when a minute of a local day is, twice where clocks are turned back; twice the same elsewhere."""
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Returns the instant between two at which a zone's offset from UTC changes."""
    before = start.astimezone(zone).utcoffset()
    low, high = int(start.timestamp()), int(end.timestamp()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
