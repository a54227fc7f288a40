"""Where a recipient may be: what they say before what is imported, that before their region, a number last."""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tellfirst.policy.zones import NOWHERE, Zones, zones_of

PENSACOLA, BERLIN = "+18505550100", "+493012345678"
NEW_YORK, CHICAGO, LOS_ANGELES = "America/New_York", "America/Chicago", "America/Los_Angeles"
US = [
    *("AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS", "KY"),
    *("LA", "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH"),
    *("OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA", "WI", "WV", "WY"),
]


def test_the_surest_word_counts() -> None:
    everything = {"stated": "Europe/Paris", "imported": NEW_YORK, "region": "US-CA", "phone": BERLIN, "default": "UTC"}
    told = []
    for name in everything:
        found = zones_of(**everything)
        told.append((found.names[0], found.source))
        everything[name] = ""
    assert told == [
        ("Europe/Paris", "customer"),
        (NEW_YORK, "imported"),
        (LOS_ANGELES, "region"),
        ("Europe/Berlin", "phone"),
        ("UTC", "default"),
    ]
    assert zones_of() == NOWHERE == zones_of(**everything)


@pytest.mark.parametrize("nonsense", ["Mars/Base", "utc+2", "../../etc/passwd"])
def test_what_is_no_zone_tells_nothing(nonsense: str) -> None:
    assert zones_of(stated=nonsense, imported=nonsense, region="ZZ", phone=nonsense, default=nonsense).names == ()


@pytest.mark.parametrize("state", US)
def test_every_state_has_its_zones(state: str) -> None:
    found = zones_of(region=f"US-{state}")
    assert found.source == "region"
    assert found.region == f"US-{state}"
    assert 1 <= len(found.names) <= 2
    assert set(found.names) <= available_timezones()


@pytest.mark.parametrize("region", ["US-FL", "us-fl", None])
def test_a_split_is_not_guessed_away(region: str | None) -> None:
    # The area code lies in Florida, where the west keeps another time; a list by number says New York alone.
    assert set(zones_of(region=region, phone=PENSACOLA).names) == {NEW_YORK, CHICAGO}


@pytest.mark.parametrize(("number", "count"), [("+12085550100", 2), ("+16055550100", 2), ("+447911123456", 4)])
def test_a_number_counts_with_all_its_zones(number: str, count: int) -> None:
    found = zones_of(phone=number)
    assert found.source == "phone"
    assert len(found.names) >= count


def test_a_number_narrows_a_country_and_no_part_of_it() -> None:
    assert len(zones_of(region="US").names) > 20
    assert zones_of(region="US", phone="+14155550100").names == (LOS_ANGELES,)
    assert zones_of(region="US-TN", phone="+16155550100").names == zones_of(region="US-TN").names
    assert zones_of(region="US-NY", phone="+14155550100").names == (NEW_YORK,), "people take their numbers along"
    assert len(zones_of(region="US", phone=BERLIN).names) > 20


def test_other_countries_count_with_all_their_zones() -> None:
    assert zones_of(region="DE").names == ("Europe/Berlin", "Europe/Busingen")
    assert zones_of(region="DE-BY").names == zones_of(region="DE").names
    assert len(zones_of(region="CA-ON").names) > 10


def test_a_number_of_nowhere_holds_everywhere() -> None:
    assert len(zones_of(phone="+18005550100").names) > 30
    assert zones_of(phone="+80012345678").names == () or len(zones_of(phone="+80012345678").names) > 30


def test_the_hours_are_those_of_the_region_else_of_the_country_that_is_told() -> None:
    assert zones_of(stated="Europe/Berlin", region="us-tx").region == "US-TX"
    assert zones_of(stated="Europe/Berlin", phone="+14155550100").region == "DE", "people take their numbers along"
    assert zones_of(phone="+14165550100") == Zones(names=("America/Toronto",), source="phone", region="CA")
    assert zones_of(default="Europe/Vienna").region == "AT"
    assert zones_of(region="ZZ", default="Europe/Vienna").region == "ZZ"


@pytest.mark.parametrize("state", US)
def test_zones_of_one_state_keep_time_apart(state: str) -> None:
    names = zones_of(region=f"US-{state}").names
    seasons = [datetime.fromisoformat(day) for day in ("2027-01-15", "2027-07-15")]
    assert len({tuple(ZoneInfo(name).utcoffset(day) for day in seasons) for name in names}) == len(names)
