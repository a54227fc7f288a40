"""Which time zones a recipient may be in: every one of them, and what told so."""

import importlib.resources
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from tellfirst.domain.base import Frozen

Source = Literal["customer", "imported", "region", "phone", "default", ""]
"""What told the zones, the surest first: the customer, an import, where they live, a guess by number, the settings."""


class Zones(Frozen):
    """Is every zone a recipient may be in, none where nothing tells, and the region whose hours hold for them."""

    names: tuple[str, ...] = ()
    source: Source = ""
    region: str = ""


NOWHERE = Zones()


def zones_of(
    *,
    stated: str | None = None,
    imported: str | None = None,
    region: str | None = None,
    phone: str | None = None,
    default: str = "",
) -> Zones:
    """Returns where a recipient may be: as they said, else imported, else by region (ISO 3166), number or default.

    A number is a guess, for people take theirs along: it counts with all the zones it may lie in, and narrows those of
    a country, never those of one of its parts. Without a region, the hours of the country of the zone or number hold.
    """
    region = (region or "").upper()
    told: tuple[tuple[str | None, Source], ...] = ((stated, "customer"), (imported, "imported"))
    for zone, source in told:
        if zone and zone in _known():
            return Zones(names=(zone,), source=source, region=region or _countries().get(zone, ""))
    names = _of_region(region)
    if len(names) > 1 and "-" not in region:
        _, guessed = _of_number(phone)
        names = tuple(name for name in names if name in guessed) or names
    if names:
        return Zones(names=names, source="region", region=region)
    country, guessed = _of_number(phone)
    if guessed:
        return Zones(names=guessed, source="phone", region=region or country)
    if default in _known():
        return Zones(names=(default,), source="default", region=region or country or _countries().get(default, ""))
    return Zones(region=region or country)


@cache
def _of_region(region: str) -> tuple[str, ...]:
    states, _ = _places()
    country = region.partition("-")[0]
    return states.get(region) or tuple(sorted(zone for zone, of in _countries().items() if of == country))


def _of_number(phone: str | None) -> tuple[str, tuple[str, ...]]:
    """Returns the country of a number and the zones it may lie in, nothing where it tells nothing; it takes a while."""
    try:
        number = phonenumbers.parse(phone or "")
    except phonenumbers.NumberParseException:
        return "", ()
    states, splits = _places()
    names = {name for name in time_zones_for_number(number) if name in _known()}
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for prefix, state in splits.items():
        if e164.startswith(prefix):
            names.update(states[state])
    return phonenumbers.region_code_for_number(number) or "", tuple(sorted(names))


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _countries() -> Mapping[str, str]:
    """Returns the country of each zone, as the time zone database has it."""
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


@cache
def _places() -> tuple[Mapping[str, tuple[str, ...]], Mapping[str, str]]:
    data = tomllib.loads(Path(__file__).with_name("zones.toml").read_text(encoding="utf-8"))
    return {state: tuple(zones) for state, zones in data["parts"].items()}, data["numbers"]
