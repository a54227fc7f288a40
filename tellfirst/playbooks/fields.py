"""The facts a template may see: each is read by its declared type, refused by name, and written in the reader's locale.

No message of an error holds a value: facts may be personal.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_datetime,
    format_skeleton,
    get_timezone_gmt,
    get_timezone_name,
    match_skeleton,
)
from babel.numbers import format_currency, get_currency_precision, list_currencies

from tellfirst.domain.condition import FactValue
from tellfirst.errors import TellfirstError
from tellfirst.playbooks.schema import DataField
from tellfirst.playbooks.unseen import HIDDEN_IN_LINE

PROMISE = "promise"
OTHERS = "others"
BUILT_IN = frozenset({PROMISE, OTHERS})
"""Names every template may use without declaring them: the instant of the next message, and how many more things."""

_CACHE_LIMIT = 4096
_MONEY = re.compile(r"(-?\d{1,12}(?:\.(\d{1,4}))?) ([A-Z]{3})")

Plain = str | int | None
Parsed = str | int | date | datetime | tuple[Decimal, str]


class RenderError(TellfirstError):
    """Is a field that is missing or not what the playbook declares; names the field, never its value."""

    def __init__(self, field: str, problem: str, *, remedy: str | None = None) -> None:
        self.field = field
        super().__init__(f"the field '{field}' {problem}", remedy=remedy)


class Reader:
    """Checks all facts and writes those in `names` as the plain values of templates in one locale.

    Values that repeat from row to row are formatted once: that is most of the cost of a row.
    """

    def __init__(self, data: Mapping[str, DataField], locale: str, names: Collection[str]) -> None:
        self._data = [(name, field, name in names) for name, field in data.items()]
        self._locale = format_locale(locale)
        self._zones: dict[str, ZoneInfo] = {}
        self._formatted: dict[tuple[str, str, object], str] = {}

    def namespace(
        self, facts: Mapping[str, FactValue], *, promise: datetime | None, zone: str, others: int
    ) -> dict[str, Plain]:
        """Returns the values by name, with the built-in ones; an optional field that is absent is None.

        Raises RenderError for a missing or wrong field, a naive promise, or an unknown zone.
        """
        tz = self._zones.get(zone) or self._zone(zone)
        values: dict[str, Plain] = {OTHERS: _count(others)}
        if promise is not None:
            values[PROMISE] = self._promise(promise, tz)
        for name, field, used in self._data:
            value = facts.get(name)
            if field.type in ("text", "url", "integer"):
                values[name] = _plain(name, field, value)
                continue
            key = (name, zone, value)
            written = self._formatted.get(key) if type(value) is str else None
            if written is None and (parsed := parse_fact(name, field, value)) is not None and used:
                written = self._remember(key, self._write(parsed, tz, day_only=field.type == "date"))
            if used:
                values[name] = written
        return values

    def _promise(self, promise: datetime, tz: ZoneInfo) -> str:
        if promise.tzinfo is None:
            raise RenderError(PROMISE, "has no time zone", remedy="give an aware instant")
        key = (PROMISE, tz.key, promise)
        return self._formatted.get(key) or self._remember(key, write_instant(promise.astimezone(tz), self._locale))

    def _remember(self, key: tuple[str, str, object], written: str) -> str:
        if len(self._formatted) >= _CACHE_LIMIT:
            self._formatted.clear()
        self._formatted[key] = written
        return written

    def _zone(self, zone: str) -> ZoneInfo:
        tz = known_zone(zone)
        if tz is None:
            raise RenderError("zone", "is not a known time zone", remedy="use a name such as Europe/Berlin")
        return self._zones.setdefault(zone, tz)

    def _write(self, value: Parsed, tz: ZoneInfo, *, day_only: bool) -> str:
        if isinstance(value, datetime):
            local = value.astimezone(tz)
            if not day_only:
                return write_instant(local, self._locale)
            value = local.date()
        if isinstance(value, date):
            return format_date(value, "long", locale=self._locale)
        if isinstance(value, tuple):
            return format_currency(*value, locale=self._locale)
        return str(value)


def known_zone(name: str) -> ZoneInfo | None:
    """Returns the IANA time zone `name`, or None when there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


def format_locale(key: str) -> Locale:
    """Returns the locale that writes dates and money for messages in `key`; raises ValueError for an unknown one.

    Bare `en` is written the British way: a day before a named month is read alike everywhere.
    """
    try:
        return Locale.parse("en_GB" if key == "en" else key)
    except UnknownLocaleError:
        raise ValueError(f"unknown locale '{key}'") from None


def write_instant(local: datetime, locale: Locale) -> str:
    """Returns a local instant such as "Tuesday 24 November, 18:00 UTC": always with its zone, on the 24 hour clock."""
    day = format_datetime(local, _day_pattern(locale), locale=locale)
    return f"{day}, {format_skeleton('Hm', local, local.tzinfo, locale=locale)} {_zone_name(local, locale)}"


def _day_pattern(locale: Locale) -> str:
    """Returns the locale's pattern of weekday, day and month, widened to full names as UTS 35 allows."""
    skeletons = locale.datetime_skeletons
    pattern = str(skeletons[match_skeleton("MMMMEEEEd", skeletons) or "MMMEd"].pattern)
    return re.sub(r"MMM+", "MMMM", re.sub(r"E+", "EEEE", pattern))


def _zone_name(local: datetime, locale: Locale) -> str:
    """Returns the shortest name of the zone that is made of letters, else its distance from GMT."""
    for name in (get_timezone_name(local, "short", locale=locale), local.tzname() or ""):
        if name.isalpha():
            return name
    return str(get_timezone_gmt(local, "long", locale=locale))


def parse_fact(name: str, field: DataField, value: FactValue) -> Parsed | None:
    """Returns `value` as its declared type, or None for an absent optional field; raises RenderError otherwise."""
    if field.type in ("text", "url", "integer"):
        return _plain(name, field, value)
    text = _text(name, field, value)
    if text is None:
        return None
    parsed = _PARSERS[field.type](text)
    if parsed is None:
        raise RenderError(name, f"is not a {field.type}", remedy=f"write it like {_EXAMPLES[field.type]}")
    if isinstance(parsed, tuple):
        _in_bounds(name, field, parsed[0])
    return parsed


def _plain(name: str, field: DataField, value: FactValue) -> str | int | None:
    if field.type != "integer":
        text = _text(name, field, value)
        if text is not None and field.type == "url" and not _is_https(text):
            raise RenderError(
                name, "is not an https address", remedy="give a full https:// address without credentials"
            )
        return text
    if value is None:
        _may_be_absent(name, field)
        return None
    if type(value) is not int:
        raise RenderError(name, "is not an integer")
    _in_bounds(name, field, value)
    return value


def _text(name: str, field: DataField, value: FactValue) -> str | None:
    if value is None or value == "":
        _may_be_absent(name, field)
        return None
    if not isinstance(value, str):
        raise RenderError(name, "is not text", remedy=f"a field of type {field.type} is given as text")
    if len(value) > field.max_length:
        raise RenderError(name, f"is longer than {field.max_length} characters")
    if HIDDEN_IN_LINE.search(value):
        raise RenderError(name, "holds a control character or one that nobody sees")
    if not value.strip():
        _may_be_absent(name, field)
        return None
    return value


def _may_be_absent(name: str, field: DataField) -> None:
    if field.required:
        raise RenderError(name, "is missing", remedy="supply it, or declare it with required = false")


def _in_bounds(name: str, field: DataField, number: int | Decimal) -> None:
    if field.minimum is not None and number < field.minimum:
        raise RenderError(name, f"is below its minimum {field.minimum}")
    if field.maximum is not None and number > field.maximum:
        raise RenderError(name, f"is above its maximum {field.maximum}")
    if len(str(number)) > field.max_length:
        raise RenderError(name, f"is longer than {field.max_length} characters")


def _count(others: int) -> int:
    if others < 0:
        raise RenderError(OTHERS, "is below its minimum 0")
    return others


def _is_https(text: str) -> bool:
    if not text.isascii() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


def _instant(text: str) -> datetime | None:
    """Reads an ISO 8601 instant; a naive one means UTC, and a date alone is not an instant."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Within a day of either end of the calendar an instant has no local time in every zone.
    if ":" not in text or not 1 < instant.year < 9999:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _day(text: str) -> date | datetime | None:
    """Reads an ISO 8601 date; an instant is taken too and shown as the day it falls on for the reader."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return _instant(text)


def _money(text: str) -> tuple[Decimal, str] | None:
    """Reads an amount and its currency; more decimals than the currency has would be rounded, so they are refused."""
    match = _MONEY.fullmatch(text)
    if match is None or len(match[2] or "") > _decimals(match[3]):
        return None
    return Decimal(match[1]), match[3]


@lru_cache(maxsize=1024)
def _decimals(currency: str) -> int:
    """Returns how many decimals a currency has; -1 for an unknown one."""
    return get_currency_precision(currency) if currency in list_currencies() else -1


_PARSERS = {"date": _day, "datetime": _instant, "money": _money}
_EXAMPLES = {"date": "2026-11-24", "datetime": "2026-11-24T18:00:00Z", "money": "12.50 EUR"}
