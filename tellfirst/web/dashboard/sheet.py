"""What a page of the dashboard is made of: sections with a table each, cells that say in words what they draw."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from tellfirst.domain.base import Frozen

Mark = Literal["", "good", "wait", "bad"]


class Bar(Frozen):
    """Is one drawn piece: where it begins and how far it reaches, in hundredths of the drawing."""

    x: str
    width: str
    y: str = "0"
    height: str = "100"
    kind: str = ""


class Span(Frozen):
    """Is one drawn interval with its estimate and the line of no difference, in hundredths of the drawing."""

    low: str
    high: str
    at: str
    zero: str


class Cell(Frozen):
    """Is one cell: `text` says all that `bars` or `span` draw; `mark` colours what `text` names anyway."""

    text: str
    href: str = ""
    note: str = ""
    mark: Mark = ""
    at: str = ""
    hidden: bool = False
    bars: tuple[Bar, ...] = ()
    span: Span | None = None


class Table(Frozen):
    """Is a table; the first cell of a row is its header."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Section(Frozen):
    """Is one part of a page; without a table `nothing` says what will stand there."""

    id: str
    title: str
    count: int
    nothing: str
    table: Table | None = None
    more: tuple[str, ...] = ()


def cell(value: object, *, note: str = "", mark: Mark = "", href: str = "") -> Cell:
    """Returns a cell of text; whole numbers are grouped."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return Cell(text=text, note=note, mark=mark, href=href)


def instant(at: datetime, now: datetime, *, mark: Mark = "") -> Cell:
    """Returns a cell of an instant in UTC, and how long ago or ahead it is."""
    return Cell(text=when(at), note=distance(at, now), mark=mark, at=at.astimezone(UTC).isoformat(timespec="seconds"))


def when(at: datetime) -> str:
    """Returns an instant as people read it."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def distance(at: datetime, now: datetime) -> str:
    """Returns how long ago or ahead an instant is."""
    return f"{length(now - at)} ago" if at <= now else f"in {length(at - now)}"


def length(time: timedelta) -> str:
    """Returns a length of time in its one or two largest units."""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    named = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    first = next((place for place, (count, _) in enumerate(named) if count), 3)
    chosen = named[first : first + 2] if first < 2 else named[first : first + 1]
    return " ".join(f"{count} {unit}" for count, unit in chosen if count) or "0 s"


def trend(days: tuple[int, ...]) -> Cell:
    """Returns a small bar for each day, the oldest first."""
    most, step = max(*days, 1), 100 / len(days)
    bars = tuple(
        Bar(
            x=f"{place * step:.2f}",
            width=f"{step * 0.7:.2f}",
            y=f"{100 - max(4, 96 * count / most):.2f}",
            height=f"{max(4, 96 * count / most):.2f}",
            kind="today" if place == len(days) - 1 else "",
        )
        for place, count in enumerate(days)
    )
    *before, today = days
    said = ", ".join(f"{count:,}" for count in before)
    return Cell(text=f"{today:,} today", note=f"before: {said}", bars=bars)


def progress(people: int, parts: tuple[tuple[str, int], ...], text: str) -> Cell:
    """Returns a bar of what became of so many people; `parts` name kinds and counts in order."""
    bars, begun = [Bar(x="0", width="100", kind="waiting")], 0.0
    for kind, count in parts:
        width = 100 * count / max(people, 1)
        if count:
            bars.append(Bar(x=f"{begun:.2f}", width=f"{width:.2f}", kind=kind))
        begun += width
    return Cell(text=text, bars=tuple(bars))


def points(value: float) -> str:
    """Returns a difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def spans(intervals: tuple[tuple[float, float, float], ...]) -> tuple[Span, ...]:
    """Returns (difference, low, high) drawn on one scale that holds all of them and the line of no difference."""
    low, high = min([0.0, *(one[1] for one in intervals)]), max([0.0, *(one[2] for one in intervals)])
    room = (high - low) or 1.0
    low, room = low - room * 0.04, room * 1.08

    def place(value: float) -> str:
        return f"{100 * (value - low) / room:.2f}"

    return tuple(Span(low=place(a), high=place(b), at=place(d), zero=place(0.0)) for d, a, b in intervals)
