"""Days and instants of exports: each spelling read as it is meant, in the zone of the reader, or refused."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tellfirst.cli.dates import Order, day_order, reader
from tellfirst.errors import RowError

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "order", "meant", "day_only"),
    [
        ("2026-03-19", "month-first", "2026-03-19T00:00:00+01:00", True),
        ("2026-03-19T08:30:00Z", "month-first", "2026-03-19T09:30:00+01:00", False),
        ("2026-07-19 08:30", "month-first", "2026-07-19T08:30:00+02:00", False),
        ("3/4/2026", "month-first", "2026-03-04T00:00:00+01:00", True),
        ("3/4/2026", "day-first", "2026-04-03T00:00:00+02:00", True),
        ("3.4.2026", "month-first", "2026-04-03T00:00:00+02:00", True),
        ("03/19/2026 12:05 AM", "month-first", "2026-03-19T00:05:00+01:00", False),
        ("03/19/2026, 12:05:09 pm", "month-first", "2026-03-19T12:05:09+01:00", False),
        ("03/19/2026 11:59PM", "month-first", "2026-03-19T23:59:00+01:00", False),
        ("19/03/2026 23:59", "day-first", "2026-03-19T23:59:00+01:00", False),
    ],
)
def test_each_spelling(text: str, order: Order, meant: str, day_only: bool) -> None:
    found, expected = (reader("at", zone=BERLIN, order=order)(one) for one in (text, meant))
    assert (found.day, found.second) == (expected.day, expected.second)
    assert found.day_only is day_only


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "19/03/2026", "3/4/26", "3/0/2026", "3/4/2026 25:00", "3/4/2026 13:00 PM", "3/4/2026 0:10 AM"),
        *("0215-03-19", "2999-01-01", "9999-12-31T23:59:59-12:00", "1426723200", "3/4.2026", "3/4/2026 10"),
    ],
)
def test_what_is_no_date_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(RowError) as refused:
        reader("at", zone=BERLIN, order="month-first")(text)
    assert str(refused.value).startswith("'at' ")
    assert not text or text not in str(refused.value)


def test_an_instant_belongs_to_the_day_of_the_reader() -> None:
    assert reader("at", zone=BERLIN, order="month-first")("2026-03-01T23:30:00Z").day == date(2026, 3, 2)


def test_the_order_is_seen_where_one_cannot_be_meant() -> None:
    assert [day_order(text) for text in ("3/19/2026", "19/3/2026", "3.4.2026", "3/4/2026", "2026-03-19", "soon")] == [
        "month-first",
        "day-first",
        "day-first",
        "either",
        None,
        None,
    ]
