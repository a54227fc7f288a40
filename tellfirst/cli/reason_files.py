"""What `reasons` reads: contacts and events from files, or from our own database, and how codes are mapped."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

from tellfirst.cli.csv_rows import SHOWN, Malformed, note_malformed, read_rows
from tellfirst.cli.dates import Order, When, day_order, reader
from tellfirst.cli.output import progress
from tellfirst.cli.spill import PARTS, Spill
from tellfirst.domain.condition import personal_pattern
from tellfirst.errors import InputError, RowError
from tellfirst.measurement.forerunners import DAY, HOUR, MOST_KINDS, Forerunners, Span
from tellfirst.measurement.reasons import MOST_REASONS, Volumes
from tellfirst.store.histories import Extent, Histories

LONGEST = 200
"""Characters of a reason code or a kind of event."""


@dataclass(frozen=True)
class Table:
    """Is a CSV file and the names of its columns; without `name` every row is of one kind, the file's own."""

    path: Path
    time: str
    name: str
    customer: str = ""


@dataclass(frozen=True)
class Reach:
    """Is how dates are read, and how far an event may lie before a contact: at most, and at least to be in time."""

    zone: ZoneInfo
    order: Order | None
    lookback_days: float
    notice_hours: float

    def forerunners(self, contacts: Span, events: Span) -> Forerunners:
        """Returns what counts events before contacts."""
        return Forerunners(
            contacts=contacts, events=events, lookback=self.lookback_days * DAY, notice=self.notice_hours * HOUR
        )


@dataclass
class Reading:
    """Is what was read so far."""

    mapping: "Mapping"
    volumes: Volumes = field(default_factory=Volumes)
    rows: int = 0
    skipped: int = 0
    days_only: bool = False
    forerunners: Forerunners | None = None
    unmapped: Counter[str] = field(default_factory=Counter)

    def count(self, code: str, when: When) -> str:
        """Counts a contact, and returns the reason that its code stands for."""
        reason = self.mapping.reasons.get(code, code)
        try:
            self.volumes.add(reason, when.day)
        except ValueError:
            raise InputError(
                f"there are more than {MOST_REASONS:,} different reasons",
                remedy="name the column of the reason code, not of a text, or map codes with --map",
            ) from None
        if code not in self.mapping.reasons:
            self.unmapped[code] += 1
        self.days_only = self.days_only or when.day_only
        return reason


@dataclass(frozen=True)
class Mapping:
    """Is which reason a code stands for, and how far its contacts can be avoided (0 to 1), as the owner judges."""

    reasons: dict[str, str] = field(default_factory=dict)
    avoidable: dict[str, float] = field(default_factory=dict)


def read_mapping(path: Path | None) -> Mapping:
    """Reads a mapping of codes: columns code, reason and, if wanted, avoidable; raises InputError for a bad row."""
    mapping = Mapping()
    if path is None:
        return mapping

    def build(row: dict[str, str]) -> None:
        code, reason, part = _name(row["code"], "code"), _name(row["reason"], "reason"), row.get("avoidable", "")
        if mapping.reasons.setdefault(code, reason) != reason:
            raise RowError("gives an earlier code another reason")
        if part and mapping.avoidable.setdefault(reason, _part(part)) != _part(part):
            raise RowError("gives an earlier reason another 'avoidable'")

    for row in read_rows(path, columns=("code", "reason", "avoidable"), required=("code", "reason"), build=build):
        if isinstance(row, Malformed):
            raise InputError(row.reason, where=f"{path}, line {row.line}", remedy="mend the row")
    return mapping


def read_files(contacts: Table, events: Table | None, mapping: Mapping, reach: Reach) -> Reading:
    """Counts the contacts of a file and, with `events`, which of them an event came before.

    Each row is read once and none is kept in memory. Raises InputError for a file that cannot be read so.
    """
    reading = Reading(mapping)
    if events is None:
        for code, when, _ in _rows(contacts, reach, reading):
            reading.count(code, when)
        return reading
    with Spill() as spill:
        before, called = _Widening(), _Widening()
        kinds: set[str] = set()
        for kind, when, customer in _rows(events, reach, None):
            before.include(when.second)
            kinds.add(kind)
            if len(kinds) > MOST_KINDS:
                raise _too_many_kinds(str(events.path))
            spill.add(customer, when.second, kind, is_event=True)
        for code, when, customer in _rows(contacts, reach, reading):
            called.include(when.second)
            spill.add(customer, when.second, reading.count(code, when), is_event=False)
        if before.span is None:
            raise InputError("there is no event in it", where=str(events.path))
        if called.span is None:
            return reading
        reading.forerunners = reach.forerunners(called.span, before.span)
        with progress("comparing contacts with events", PARTS) as step:
            for life in spill.each(step):
                reading.forerunners.add(life.events, life.contacts)
    return reading


def read_database(histories: Histories, mapping: Mapping, reach: Reach) -> Reading:
    """Counts the contacts of our own database, beside its events where there are any that name a customer."""
    reading, extent = Reading(mapping), histories.extent()
    if extent.contacts_period and extent.events_period:
        reading.forerunners = reach.forerunners(
            *(Span(first=first.timestamp(), last=last.timestamp()) for first, last in _periods(extent))
        )
    with progress("reading contacts and events", extent.contacts + extent.events) as step:
        for _, happenings in groupby(histories.each(), key=lambda happening: happening.customer):
            events: list[tuple[float, str]] = []
            contacts: list[tuple[float, str]] = []
            for _, at, name, is_event in happenings:
                if is_event:
                    events.append((at.timestamp(), name))
                    continue
                reading.rows += 1
                when = When(day=at.astimezone(reach.zone).date(), second=at.timestamp(), day_only=False)
                contacts.append((when.second, reading.count(name, when)))
            if reading.forerunners is not None:
                try:
                    reading.forerunners.add(events, contacts)
                except ValueError:
                    raise _too_many_kinds("the events of the database") from None
            step(len(events) + len(contacts))
    return reading


def _periods(extent: Extent) -> Iterator[tuple[datetime, datetime]]:
    for period in (extent.contacts_period, extent.events_period):
        if period is not None:
            yield period


def _rows(source: Table, reach: Reach, reading: Reading | None) -> Iterator[tuple[str, When, str]]:
    """Yields (code or kind, when, customer) of each good row, names the bad ones and counts both in `reading`."""
    path = source.path
    when = reader(source.time, zone=reach.zone, order=reach.order or _find_order(source))
    required = {name.lower() for name in (source.time, source.name, source.customer) if name}

    def build(row: dict[str, str]) -> tuple[str, When, str]:
        name = _name(row[source.name.lower()], source.name) if source.name else path.stem
        customer = row[source.customer.lower()] if source.customer else ""
        if source.customer and not customer:
            raise RowError(f"'{source.customer}' is empty")
        return name, when(row[source.time.lower()]), customer

    bad: list[Malformed] = []
    skipped = 0
    for row in read_rows(path, columns=None, required=sorted(required), build=build):
        if reading is not None:
            reading.rows += 1
        if isinstance(row, Malformed):
            skipped += 1
            bad += [row] if skipped <= SHOWN else []
        else:
            yield row
    if reading is not None:
        reading.skipped = skipped
    note_malformed(path, bad, skipped)


def _find_order(source: Table) -> Order:
    """Returns in which order a file writes day and month: as in the first row that can be read only one way."""
    if source.path.exists() and not source.path.is_file():
        raise InputError("is not a file that can be read twice", where=str(source.path), remedy="save it as a file")
    column, seen = source.time.lower(), False
    for row in read_rows(
        source.path, columns=None, required=(column,), build=lambda row: row[column], doing="looking at the dates of"
    ):
        if isinstance(row, Malformed):
            continue
        order = day_order(row)
        if order in ("month-first", "day-first"):
            return order
        if order == "either":
            seen = True
        elif _is_iso(row):
            break
    if seen:
        raise InputError(
            "every date could be read both ways, day first or month first",
            where=f"{source.path}, column '{source.time}'",
            remedy="give --dates day-first or --dates month-first",
        )
    return "month-first"


class _Widening:
    """Widens to the seconds that are included."""

    def __init__(self) -> None:
        self._first, self._last = inf, -inf

    def include(self, second: float) -> None:
        self._first, self._last = min(self._first, second), max(self._last, second)

    @property
    def span(self) -> Span | None:
        return Span(first=self._first, last=self._last) if self._first <= self._last else None


def _is_iso(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _name(text: str, column: str) -> str:
    if not text:
        raise RowError(f"'{column}' is empty")
    if len(text) > LONGEST:
        raise RowError(f"'{column}' is longer than {LONGEST} characters and no code")
    if kind := personal_pattern(text):
        raise RowError(f"'{column}' holds {kind} and no code")
    return text


def _part(text: str) -> float:
    try:
        part = float(text)
    except ValueError:
        part = -1
    if not 0 <= part <= 1:
        raise RowError("'avoidable' is not a number from 0 to 1")
    return part


def _too_many_kinds(where: str) -> InputError:
    return InputError(
        f"there are more than {MOST_KINDS:,} kinds of events", where=where, remedy="name the column of their type"
    )
