"""Days and instants as exports of other systems write them: ISO 8601, or with slashes or dots."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from typing import Literal, NamedTuple

from tellfirst.cli.instants import read_instant
from tellfirst.errors import InputError, RowError

Order = Literal["month-first", "day-first"]

YEARS = range(1970, 2101)
"""Years that are no typing error."""

_PARTED = re.compile(
    r"(?P<a>\d{1,2})(?P<sign>[/.])(?P<b>\d{1,2})(?P=sign)(?P<year>\d{4})"
    r"(?:,? +(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?: ?(?P<half>[AaPp])[Mm])?)?"
)


class When(NamedTuple):
    """Is a moment: its day in the zone of the reader, and its second since 1970; `day_only` has no time of day."""

    day: date
    second: float
    day_only: bool


def day_order(text: str) -> Order | Literal["either"] | None:
    """Returns in which order `text` writes day and month: None for ISO 8601, "either" where both would do.

    Dots put the day first.
    """
    parted = _PARTED.fullmatch(text)
    if parted is None:
        return None
    if parted["sign"] == "." or int(parted["a"]) > 12:
        return "day-first"
    return "month-first" if int(parted["b"]) > 12 else "either"


def reader(where: str, *, zone: tzinfo, order: Order) -> Callable[[str], When]:
    """Returns what reads the column `where`: an instant without a zone in `zone`, a day being its first moment.

    It raises RowError for what is no date, or one outside 1970 to 2100.
    """

    def read(text: str) -> When:
        parted = _PARTED.fullmatch(text)
        try:
            moment = read_instant(text, where, zone=zone, error=RowError) if parted is None else _moment(parted)
            local = moment.astimezone(zone)
        except (ValueError, OverflowError):
            raise RowError(f"'{where}' is not a date in the order of the other rows ({order})") from None
        if local.year not in YEARS:
            raise RowError(f"'{where}' lies outside the years {YEARS[0]} to {YEARS[-1]}")
        day_only = parted["hour"] is None if parted else len(text) <= len("2026-01-31")
        return When(day=local.date(), second=moment.timestamp(), day_only=day_only)

    def _moment(parted: re.Match[str]) -> datetime:
        a, b = int(parted["a"]), int(parted["b"])
        month, day = (a, b) if order == "month-first" and parted["sign"] == "/" else (b, a)
        hour, half = int(parted["hour"] or 0), (parted["half"] or "").lower()
        if half and not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + 12 * (half == "p") if half else hour
        rest = (int(parted["minute"] or 0), int(parted["second"] or 0))
        return datetime(int(parted["year"]), month, day, hour, *rest, tzinfo=zone).astimezone(UTC)

    return read


def read_order(text: str) -> Order | None:
    """Returns the order given with --dates, None for none; raises InputError."""
    if text in ("month-first", "day-first"):
        return text  # type: ignore[return-value]
    if text:
        raise InputError("is neither month-first nor day-first", where="--dates")
    return None
