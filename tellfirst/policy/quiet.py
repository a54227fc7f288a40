"""Quiet hours: the table of when people of a region may be disturbed, and the calendar of one recipient."""

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from tellfirst.domain.base import Frozen, Outside
from tellfirst.domain.message import Channel
from tellfirst.errors import SettingsError
from tellfirst.policy.hours import ALWAYS, Calendar, Span
from tellfirst.policy.zones import Zones

CALLS: frozenset[Channel] = frozenset({"voice", "person"})
RINGING: frozenset[Channel] = frozenset({"sms", "whatsapp", "voice", "push", "person"})
"""Channels that disturb whoever is asleep; the others wait to be read."""
EVERYWHERE = "*"
SHIPPED = Path(__file__).with_name("hours.toml")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = 24 * 60


def _clock(value: object) -> object:
    if not isinstance(value, str):
        return value
    hour, colon, minute = value.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(hour) == len(minute) == 2 and int(minute) < 60):
        raise ValueError("a time of day is written like 09:30")
    return int(hour) * 60 + int(minute)


Clock = Annotated[int, BeforeValidator(_clock), Field(ge=0, le=MIDNIGHT)]
"""A time of day as minutes after midnight; 24:00 is the end of the day."""


class Hours(Outside):
    """Is a stretch of time on some days, by default on each; one that ends before it begins runs past midnight."""

    days: tuple[Day, ...] = Field(default=WEEK, min_length=1)
    from_: Clock = Field(alias="from")
    to: Clock

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.from_ == self.to:
            raise ValueError("'from' and 'to' are the same")
        return self

    def spans(self) -> tuple[Span, ...]:
        """Returns it as spans that each lie within a day."""
        return _spans([WEEK.index(day) for day in self.days], self.from_, self.to)


class Allowed(Hours):
    """Is one row of the table: when people of these regions (ISO 3166, a country or one of its parts) may be disturbed.

    `*` is everywhere that has no row; `source` says where that is from, and `checked_on` when somebody looked.
    """

    regions: tuple[str, ...] = Field(min_length=1)
    channels: tuple[Literal["calls", "texts"], ...] = Field(default=("calls", "texts"), min_length=1)
    source: str = Field(min_length=1)
    checked_on: date


class HoursTable(Outside):
    """Is the table: `allowed` everybody at home, and `business` besides who is reached at work.

    Without rows everybody may be disturbed at any hour.
    """

    allowed: tuple[Allowed, ...]
    business: tuple[Hours, ...] = ()

    @model_validator(mode="after")
    def _holds_everywhere(self) -> Self:
        for kind in ("calls", "texts"):
            if self.allowed and not any(EVERYWHERE in row.regions and kind in row.channels for row in self.allowed):
                raise ValueError(f"no row for {kind} in region '{EVERYWHERE}'")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Reads a table, by default the shipped one; raises SettingsError naming the file, the entry and the remedy."""
        path = path or SHIPPED
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the hours cannot be read ({type(error).__name__})",
                where=str(path),
                remedy="deploy them as UTF-8 text that the worker can read, or leave TELLFIRST_HOURS out",
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"the hours are not TOML: {error}", where=str(path)) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{at or 'the table'}: {first['msg']}", where=str(path), remedy="see docs/channels.md, When"
            ) from None

    def at_work(self, zone: str) -> Calendar:
        """Returns the business hours of people who work in a zone; always without any."""
        rules = (tuple(span for one in self.business for span in one.spans()),) if self.business else ()
        return Calendar(zones=(zone,), rules=rules)

    def in_region(self, region: str, channel: Channel) -> tuple[Span, ...]:
        """Returns the open spans of a region: its own rows, else those of its country, else those of everywhere."""
        kind = "calls" if channel in CALLS else "texts"
        for name in (region, region.partition("-")[0], EVERYWHERE):
            if spans := self._spans.get((name, kind)):
                return spans
        return ()

    @cached_property
    def _spans(self) -> dict[tuple[str, str], tuple[Span, ...]]:
        spans: dict[tuple[str, str], tuple[Span, ...]] = {}
        for row in self.allowed:
            for name, kind in product(row.regions, row.channels):
                spans[name, kind] = (*spans.get((name, kind), ()), *row.spans())
        return spans


class Timing(Frozen):
    """Is what a playbook says about when: hours at which its messages are hardly read, and what it may ignore.

    With `ignores_hours` it leaves at any hour that the customer has not closed, with `ignores_customer` at any hour.
    """

    low_engagement: tuple[Hours, ...] = ()
    ignores_hours: bool = False
    ignores_customer: bool = False


def calendar_for(
    table: HoursTable,
    timing: Timing,
    *,
    channel: Channel,
    zones: Zones,
    business: bool = False,
    quiet: tuple[int, int] | None = None,
) -> Calendar:
    """Returns when a recipient may be reached on a channel; `quiet` are their own quiet hours, in local minutes.

    A channel that rings without a zone, or that no hour is left for, never opens; one that waits to be read is held
    only by hours that can be told.
    """
    rings = channel in RINGING
    rules: list[tuple[Span, ...]] = []
    if not timing.ignores_hours:
        if rings:
            rules += [spans] if (spans := table.in_region(zones.region, channel)) else []
        if business and table.business:
            rules.append(tuple(span for hours in table.business for span in hours.spans()))
        if timing.low_engagement:
            rules.append(outside([span for hours in timing.low_engagement for span in hours.spans()]))
    if rings and quiet is not None and quiet[0] != quiet[1] and not timing.ignores_customer:
        rules.append(outside(_spans(range(7), *quiet)))
    if not rules or not (zones.names or rings):
        return ALWAYS
    return Calendar(zones=zones.names, rules=tuple(dict.fromkeys(rules)))


def _spans(days: Sequence[int], opens: int, closes: int) -> tuple[Span, ...]:
    if opens <= closes:
        return (Span(days=frozenset(days), opens=opens, closes=closes),)
    evening = Span(days=frozenset(days), opens=opens, closes=MIDNIGHT)
    morning = Span(days=frozenset((day + 1) % 7 for day in days), opens=0, closes=closes)
    return (evening, morning) if closes else (evening,)


def outside(closed: Sequence[Span]) -> tuple[Span, ...]:
    """Returns the open spans that closed ones leave, each on the days on which it is the same."""
    left: dict[tuple[int, int], list[int]] = {}
    for day in range(7):
        opens = 0
        for span in sorted((s for s in closed if day in s.days), key=lambda s: s.opens):
            if span.opens > opens:
                left.setdefault((opens, span.opens), []).append(day)
            opens = max(opens, span.closes)
        if opens < MIDNIGHT:
            left.setdefault((opens, MIDNIGHT), []).append(day)
    return tuple(Span(days=frozenset(days), opens=a, closes=b) for (a, b), days in left.items())
