"""`reasons`: which reasons are worth being proactive about, as far as the data can tell, and what would tell more."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.dates import read_order
from tellfirst.cli.instants import read_zone
from tellfirst.cli.output import Json, counted, print_json, print_table, say
from tellfirst.cli.reason_files import Reach, Reading, Table, read_database, read_files, read_mapping
from tellfirst.cli.wiring import opened, read_library
from tellfirst.errors import InputError
from tellfirst.measurement.forerunners import Forerunner, Price
from tellfirst.measurement.worth import Candidate, rank, wanted

TOP = 20
"""Reasons in the table unless asked for more."""

LISTED = 20
"""Unknown codes told one by one."""

DAYS, HOURS = 14.0, 4.0


def reasons(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.csv", help="Contacts; without a file those of our own database, and its events."),
    ] = None,
    time: Annotated[str, typer.Option(metavar="COLUMN", help="When a contact came.")] = "",
    reason: Annotated[str, typer.Option(metavar="COLUMN", help="The reason code of a contact.")] = "",
    customer: Annotated[str, typer.Option(metavar="COLUMN", help="Whose contact it is; needed with --events.")] = "",
    zone: Annotated[
        str, typer.Option(metavar="IANA", help="Zone of the weeks and of instants that name none.")
    ] = "UTC",
    dates: Annotated[
        str, typer.Option(metavar="ORDER", help="month-first or day-first, where 1/2/2026 leaves it open.")
    ] = "",
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE.csv", help="Columns code, reason and avoidable (0 to 1).")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Operational events that may foretell contacts.")
    ] = None,
    event_time: Annotated[str, typer.Option(metavar="COLUMN", help="When an event happened.")] = "",
    event_customer: Annotated[str, typer.Option(metavar="COLUMN", help="Whom it happened to.")] = "",
    event_kind: Annotated[str, typer.Option(metavar="COLUMN", help="Its kind; default all of one kind.")] = "",
    lookback_days: Annotated[float, typer.Option(help="How long before a contact an event may lie.")] = DAYS,
    notice_hours: Annotated[float, typer.Option(help="How long it takes to detect, approve and deliver.")] = HOURS,
    cost: Annotated[float | None, typer.Option(help="What one contact costs.")] = None,
    handle_minutes: Annotated[float | None, typer.Option(help="Or: how long one contact is worked on.")] = None,
    hourly_cost: Annotated[float | None, typer.Option(help="And what an hour of that work costs.")] = None,
    telling_cost: Annotated[float | None, typer.Option(help="What telling one customer costs.")] = None,
    deflection: Annotated[
        float, typer.Option(help="Share of the contacts foretold in time that telling first avoids; assumed.")
    ] = 0.2,
    top: Annotated[int, typer.Option(min=0, help="Reasons in the table; 0 for all.")] = TOP,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Rank reasons by what telling customers first is worth.

    By volume and steadiness; with events by what of a year's contacts an event foretells in time, with costs in
    money, each time by the low end. docs/measurement.md tells how it is computed.
    """
    price = _price(_contact_cost(cost, handle_minutes, hourly_cost), telling_cost, deflection)
    days, hours = _number(lookback_days, "--lookback-days"), _number(notice_hours, "--notice-hours")
    _refuse(hours >= days * 24, "an event may lie back longer than telling takes", "--lookback-days")
    reach = Reach(read_zone(zone, "--zone"), read_order(dates), days, hours)
    codes = read_mapping(mapping)
    known = set(codes.reasons.values())
    if file is None:
        named = (time, reason, customer, events, event_time, event_customer, event_kind)
        _refuse(any(named), "columns and events are named only beside a file of contacts", "FILE.csv")
        with opened() as here:
            known |= {loaded.playbook.reason_code for loaded in read_library(here.settings).values()}
            reading = read_database(here.histories, codes, reach)
    else:
        _refuse(not time or not reason, "a file needs --time and --reason: the columns they are in", str(file))
        happened = _events(events, event_time, event_customer, event_kind, customer)
        reading = read_files(Table(file, time, reason, customer if events else ""), happened, codes, reach)
        known |= set() if mapping else set(reading.unmapped)
    found = rank(reading.volumes, reading.forerunners, codes.avoidable, price or Price(deflection=deflection))
    ranking = Ranking(
        reading=reading,
        found=found,
        price=price,
        deflection=deflection,
        unknown=sorted(set(reading.unmapped) - known),
        wanted=wanted(
            reading.volumes,
            found,
            events=reading.forerunners is not None,
            cost=price is not None,
            told=telling_cost is not None,
            judged=sum(one.volume.reason in codes.avoidable for one in found),
            days_only=reading.days_only,
        ),
    )
    if as_json:
        more = bool(reading.forerunners or price or mapping)
        print_json(ranking.document(more=more))
    else:
        _print(ranking, top or len(found))


@dataclass(frozen=True)
class Ranking:
    """Is the answer."""

    reading: Reading
    found: Sequence[Candidate]
    price: Price | None
    deflection: float
    unknown: Sequence[str]
    wanted: Sequence[str]

    def document(self, *, more: bool) -> dict[str, object]:
        """Returns the document for machines; `more` adds what only events, costs or a mapping can tell."""
        plain: dict[str, object] = {
            "rows": self.reading.rows,
            "skipped": self.reading.skipped,
            "reasons": [self._line(one, more=more) for one in self.found],
        }
        if not more:
            return plain
        return plain | {
            "weeks": self.reading.volumes.full_weeks,
            "unit": "money" if self.price else "contacts",
            "deflection": self.deflection,
            "unknown": self.unknown,
            "wanted": self.wanted,
        }

    def value(self, one: Candidate) -> dict[str, float | None] | None:
        """Returns what telling first is worth a year; without events only what it is at most."""
        if self.reading.forerunners is not None:
            return one.value.model_dump() if one.value else None
        return {"low": 0.0, "value": None, "high": self.cost(one) * one.avoidable * self.deflection}

    def cost(self, one: Candidate) -> float:
        """Returns what the contacts of a year cost, or how many they are."""
        return one.a_year * (self.price.contact if self.price else 1)

    def _line(self, one: Candidate, *, more: bool) -> dict[str, object]:
        plain: dict[str, object] = one.volume.model_dump() | {"score": one.score}
        if not more:
            return plain
        return plain | {
            "avoidable": one.avoidable,
            "yearly_cost": self.cost(one) if self.price else None,
            "yearly_value": self.value(one),
            "event": one.event.model_dump(exclude={"value"}) if one.event else None,
        }


def _print(ranking: Ranking, top: int) -> None:
    reading, found = ranking.reading, ranking.found
    if not found:
        say(f"there is no contact to rank; {counted(reading.skipped, 'row')} skipped")
        return
    columns = ["reason", "contacts", "share", "weekly variation"]
    foretold, priced = reading.forerunners is not None, ranking.price is not None
    columns += ["event", "before", "by chance", "lead time", "in time", "contact after it"] if foretold else []
    columns += (
        ["worth a year", "from", "to"] if foretold else ["costs a year", "spares at most"] if priced else ["score"]
    )
    rows = [[*_plain(one), *(_event(one.event) if foretold else ()), *_worth(ranking, one)] for one in found[:top]]
    print_table(columns, rows, numbers=[name for name in columns if name not in ("reason", "event", "lead time")])
    if len(found) > top:
        say(f"and {counted(len(found) - top, 'more reason')}; --top 0 shows all")
    volumes = reading.volumes
    say(
        f"{counted(len(found), 'reason')} in {counted(volumes.total, 'contact')},"
        f" {counted(volumes.full_weeks, 'full week')}; {counted(reading.skipped, 'row')} skipped"
    )
    say(f"ranked by {_basis(ranking)}; docs/measurement.md tells how that is computed")
    if ranking.unknown:
        shown = ", ".join(ranking.unknown[:LISTED])
        say(f"kept, but not known: {shown}{' …' if len(ranking.unknown) > LISTED else ''}")
    for want in ranking.wanted:
        say(f"would sharpen it: {want}")


def _basis(ranking: Ranking) -> str:
    if ranking.reading.forerunners is None:
        return "volume and steadiness: contacts over 1 + weekly variation"
    unit = "money" if ranking.price else "contacts avoided"
    return f"the low end of a year's worth in {unit}, where telling first is assumed to avoid {ranking.deflection:.0%}"


def _plain(one: Candidate) -> tuple[str, ...]:
    volume = one.volume
    cv = "-" if volume.weekly_cv is None else f"{volume.weekly_cv:.3f}"
    return volume.reason, f"{volume.volume:,}", f"{volume.share:.1%}", cv


def _event(event: Forerunner | None) -> tuple[str, ...]:
    if event is None:
        return ("-",) * 6
    lead = "-"
    if event.lead_hours:
        lower, median, upper = event.lead_hours
        lead = f"{median:,} h ({lower:,} to {upper:,})"
    return (
        event.kind,
        f"{event.preceded.value:.1%}",
        f"{event.by_chance:.1%}",
        lead,
        f"{event.in_time.value:.1%}",
        f"{event.followed.value:.1%}" if event.followed else "-",
    )


def _worth(ranking: Ranking, one: Candidate) -> tuple[str, ...]:
    if ranking.reading.forerunners is not None:
        value = one.value
        return (_round(value.value), _round(value.low), _round(value.high)) if value else ("-",) * 3
    if ranking.price is None:
        return (_round(one.score),)
    value_at_most = ranking.value(one) or {}
    return _round(ranking.cost(one)), _round(value_at_most["high"] or 0)


def _round(number: float) -> str:
    return f"{round(number):,}"


def _events(path: Path | None, time: str, whose: str, kind: str, customer: str) -> Table | None:
    if path is None:
        _refuse(any((time, whose, kind)), "columns of events are named only beside --events", "--events")
        return None
    missing = not (time and whose and customer)
    _refuse(missing, "events need --event-time and --event-customer, and contacts --customer", "--events")
    return Table(path, time, kind, whose)


def _price(contact: float | None, telling: float | None, deflection: float) -> Price | None:
    _refuse(not 0 <= deflection <= 1, "a share lies from 0 to 1", "--deflection")
    if contact is None:
        _refuse(telling is not None, "the cost of telling is weighed against that of a contact: give --cost too")
        return None
    told = 0.0 if telling is None else _number(telling, "--telling-cost")
    return Price(contact=contact, told=told, deflection=deflection)


def _contact_cost(cost: float | None, minutes: float | None, hourly: float | None) -> float | None:
    worked = minutes is not None or hourly is not None
    _refuse(cost is not None and worked, "the cost of a contact is given twice", "--cost")
    if cost is not None:
        return _number(cost, "--cost")
    if minutes is None or hourly is None:
        _refuse(worked, "--handle-minutes and --hourly-cost are given together")
        return None
    return _number(minutes, "--handle-minutes") / 60 * _number(hourly, "--hourly-cost")


def _number(number: float, where: str) -> float:
    _refuse(not isfinite(number) or number < 0, "is no number from 0 up", where)
    return number


def _refuse(wrong: bool, what: str, where: str | None = None) -> None:
    if wrong:
        raise InputError(what, where=where)
