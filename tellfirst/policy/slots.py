"""Slots: the instant from which a recipient may be told, shared with others where it can be."""

from datetime import UTC, datetime, timedelta

from tellfirst.policy.hours import Calendar, opening

APART = timedelta(hours=1)
"""How far apart two outreaches reach one customer, unless the later one is urgent."""
GRID = timedelta(minutes=5)
"""Waits end at whole multiples of this, so that the hours of many people make few waves."""
TOO_LATE = "too_late"
UNKNOWN_ZONE = "unknown_zone"


def slot(calendar: Calendar, at: datetime, *, not_after: datetime, last: datetime | None = None) -> datetime | str:
    """Returns `at` where a recipient may be told then, else when to look again, or why they cannot be told in time.

    `last` is when another outreach last reached them.
    """
    if at >= not_after:
        return TOO_LATE
    opens = opening(calendar, at if last is None else max(at, last + APART))
    if opens is None:
        return UNKNOWN_ZONE if not calendar.zones else TOO_LATE
    if opens == at:
        return at
    again = on_the_grid(calendar, opens)
    return again if again < not_after else TOO_LATE


def on_the_grid(calendar: Calendar, opens: datetime) -> datetime:
    """Returns the next instant of the grid from an opening on, or the opening where it is over by then."""
    later = opens + (datetime.fromtimestamp(0, UTC) - opens) % GRID
    return later if opening(calendar, later) == later else opens
