"""`reasons`: which to be proactive about, from any export or from our own records, and every row accounted for."""

import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.events import Events, Happened
from tests.cli.conftest import Shell
from tests.figures import Figure
from tests.measurement.test_reasons import COMPLAINTS

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECRET = "do-not-repeat"
COLUMNS = ("--time", "at", "--reason", "why")
ROWS = int(os.environ.get("TELLFIRST_TEST_REASON_ROWS", "8000"))


def contacts(shell: Shell, *rows: str, head: str = "at,why", name: str = "c.csv") -> Path:
    return shell.file(name, "\n".join((head, *rows)) + "\n")


def parcels() -> Iterator[tuple[str, str]]:
    """Yields contacts and events: each customer asks about a parcel a day after it was late, and about a bill."""
    for n in range(200):
        at = MONDAY + timedelta(hours=7 * n)
        yield f"{at.isoformat()},where_is_my_order,c-{n}", f"{(at - timedelta(days=1)).isoformat()},c-{n},late"
        yield f"{at.isoformat()},bill,d-{n}", f"{at.isoformat()},e-{n},paid"


@pytest.fixture
def known(shell: Shell) -> tuple[str | Path, ...]:
    """Returns the words for contacts beside events."""
    rows = list(parcels())
    calls = contacts(shell, *(call for call, _ in rows), head="at,why,who")
    happened = contacts(shell, *(event for _, event in rows), head="when,whom,what", name="events.csv")
    beside = ("--event-time", "when", "--event-customer", "whom", "--event-kind", "what")
    return ("reasons", calls, *COLUMNS, "--customer", "who", "--events", happened, *beside)


@pytest.mark.skipif(not COMPLAINTS.is_file(), reason="the complaints are not there (../shared/data/cfpb)")
def test_real_complaints(shell: Shell, figure: Figure) -> None:
    words = ("reasons", COMPLAINTS, "--time", "Date received", "--reason", "Issue")
    document = shell(*words, "--json").document
    assert (document["rows"], document["skipped"]) == (28_156, 2)
    first = max(document["reasons"], key=lambda one: one["volume"])
    assert (first["reason"], first["volume"]) == ("Incorrect information on credit report", 4_170)
    assert round(first["weekly_cv"], 3) == 0.234
    figure(f"tellfirst reasons, real complaints: {first}")
    done = shell(*words)
    assert done.out.splitlines()[1].startswith("Incorrect information on credit report")
    assert "89 reasons in 28,154 contacts, 10 full weeks; 2 rows skipped" in done.out
    assert done.err.splitlines() == [
        "consumer_complaints.csv, line 11732: 'Issue' is empty",
        "consumer_complaints.csv, line 13200: 'Issue' is empty",
    ]


def test_the_document_is_the_one_that_others_script_against(shell: Shell) -> None:
    file = contacts(shell, "2026-03-02,a", "2026-03-08T23:59:59Z,a", "2026-03-09,b", "2026-03-15,a")
    done = shell("reasons", file, *COLUMNS, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.document == {
        "rows": 4,
        "skipped": 0,
        "reasons": [
            {
                "reason": "a",
                "volume": 3,
                "share": 0.75,
                "weekly_cv": pytest.approx(1 / 3),
                "score": pytest.approx(2.25),
            },
            {"reason": "b", "volume": 1, "share": 0.25, "weekly_cv": 1.0, "score": 0.5},
        ],
    }


def test_bad_rows_are_named_by_line_and_never_by_content(shell: Shell) -> None:
    rows = ("2026-03-02,a", "soon,a", "2026-03-02,", f"2026-03-02,{SECRET}@example.com", "2026-03-02", "1066-10-14,a")
    done = shell("reasons", contacts(shell, *rows), *COLUMNS, "--json")
    assert done.code == 0
    assert (done.document["rows"], done.document["skipped"]) == (6, 5)
    assert done.err.splitlines() == [
        "c.csv, line 3: 'at' is not an ISO 8601 instant like 2026-01-31T12:00:00Z",
        "c.csv, line 4: 'why' is empty",
        "c.csv, line 5: 'why' holds an e-mail address and no code",
        "c.csv, line 6: has 1 cell instead of 2",
        "c.csv, line 7: 'at' lies outside the years 1970 to 2100",
    ]
    assert SECRET not in done.out + done.err


def test_a_file_without_a_good_row_is_no_failure(shell: Shell) -> None:
    done = shell("reasons", contacts(shell, "soon,a"), *COLUMNS)
    assert (done.code, done.out) == (0, "there is no contact to rank; 1 row skipped\n")
    assert shell("reasons", contacts(shell), *COLUMNS, "--json").document == {"rows": 0, "skipped": 0, "reasons": []}


@pytest.mark.parametrize(
    ("rows", "weeks"),
    [
        (("3/2/2026,a", "3/15/2026,a"), 2),  # the second row leaves no choice
        (("02/03/2026 08:00,a", "15/03/2026 9:30:00,a"), 2),
        (("2.3.2026,a", "15.3.2026 11:59 PM,a"), 2),
        (("2026-03-02,a", "2026-03-15 10:00,a"), 2),
        (("3/1/2026 11:30 PM,a", "3/15/2026 12:10 am,a"), 2),
    ],
)
def test_dates_are_read_as_the_file_writes_them(shell: Shell, rows: tuple[str, ...], weeks: int) -> None:
    done = shell("reasons", contacts(shell, *rows), *COLUMNS)
    assert done.err == ""
    assert f"2 contacts, {weeks} full week" in done.out


def test_dates_that_could_be_read_both_ways_are_asked_for(shell: Shell) -> None:
    file = contacts(shell, "2/3/2026,a", "8/3/2026,a")
    done = shell("reasons", file, *COLUMNS)
    assert done.code == 2
    assert "every date could be read both ways" in done.err
    assert "1 full week" in shell("reasons", file, *COLUMNS, "--dates", "day-first").out
    assert "25 full weeks" in shell("reasons", file, *COLUMNS, "--dates", "month-first").out
    assert shell("reasons", file, *COLUMNS, "--dates", "first").code == 2


def test_a_row_in_the_other_order_is_skipped(shell: Shell) -> None:
    done = shell("reasons", contacts(shell, "3/19/2026,a", "19/3/2026,a"), *COLUMNS, "--json")
    assert done.document["skipped"] == 1
    assert "line 3: 'at' is not a date in the order of the other rows (month-first)" in done.err


def test_weeks_begin_where_the_reader_is(shell: Shell) -> None:
    file = contacts(shell, "2026-03-02T23:30:00Z,a", "2026-03-08T12:00:00,a")
    assert "2 contacts, 1 full week;" in shell("reasons", file, *COLUMNS).out
    assert "2 contacts, 0 full weeks;" in shell("reasons", file, *COLUMNS, "--zone", "Europe/Berlin").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--time", "at"), "a file needs --time and --reason"),
        (("--time", "at", "--reason", "because"), "the column 'because' is missing"),
        ((*COLUMNS, "--zone", "Mars"), "'--zone' is not a time zone"),
        ((*COLUMNS, "--cost", "-1"), "--cost: is no number from 0 up"),
        ((*COLUMNS, "--cost", "nan"), "--cost: is no number from 0 up"),
        ((*COLUMNS, "--cost", "1", "--hourly-cost", "2"), "the cost of a contact is given twice"),
        ((*COLUMNS, "--handle-minutes", "1"), "--handle-minutes and --hourly-cost are given together"),
        ((*COLUMNS, "--telling-cost", "1"), "give --cost too"),
        ((*COLUMNS, "--deflection", "20"), "--deflection: a share lies from 0 to 1"),
        ((*COLUMNS, "--event-time", "at"), "columns of events are named only beside --events"),
        ((*COLUMNS, "--events", "e.csv"), "events need --event-time and --event-customer, and contacts --customer"),
        ((*COLUMNS, "--notice-hours", "400"), "an event may lie back longer than telling takes"),
    ],
)
def test_what_cannot_be_is_said(shell: Shell, words: tuple[str, ...], said: str) -> None:
    done = shell("reasons", contacts(shell, "2026-03-02,a"), *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_file_that_cannot_be_read_is_named(shell: Shell) -> None:
    done = shell("reasons", shell.folder / "none.csv", *COLUMNS)
    assert done.code == 2
    assert "none.csv: cannot be read" in done.err
    assert "is empty" in shell("reasons", shell.file("empty.csv", ""), *COLUMNS).err
    split = shell("reasons", contacts(shell, "2026-03-02;a", head="at;why"), *COLUMNS)
    assert (split.code, "it is separated by semicolons" in split.err) == (2, True)


def test_free_text_is_refused_as_a_reason(shell: Shell) -> None:
    done = shell("reasons", contacts(shell, *(f"2026-03-02,text {n}" for n in range(10_001))), *COLUMNS)
    assert done.code == 2
    assert "there are more than 10,000 different reasons; name the column of the reason code" in done.err


def test_the_table_is_cut_and_says_so(shell: Shell) -> None:
    file = contacts(shell, *(f"2026-03-02,r-{n:02}" for n in range(30)))
    assert "and 10 more reasons; --top 0 shows all" in shell("reasons", file, *COLUMNS).out
    assert "r-29" in shell("reasons", file, *COLUMNS, "--top", "0").out
    assert len(shell("reasons", file, *COLUMNS, "--json").document["reasons"]) == 30


def test_codes_are_mapped_or_listed_and_never_dropped(shell: Shell) -> None:
    file = contacts(shell, "2026-03-02,WISMO", "2026-03-03,parcel?", "2026-03-04,bill", "2026-03-05,odd")
    codes = contacts(
        shell, "WISMO,where_is_my_order,1", "parcel?,where_is_my_order,", head="code,reason,avoidable", name="map.csv"
    )
    document = shell("reasons", file, *COLUMNS, "--map", codes, "--json").document
    assert {one["reason"]: (one["volume"], one["avoidable"]) for one in document["reasons"]} == {
        "where_is_my_order": (2, 1.0),
        "bill": (1, 0.5),
        "odd": (1, 0.5),
    }
    assert document["unknown"] == ["bill", "odd"]
    assert "kept, but not known: bill, odd" in shell("reasons", file, *COLUMNS, "--map", codes).out
    assert "kept, but not known" not in shell("reasons", file, *COLUMNS).out


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,x,", "gives an earlier code another reason"),
        ("b,r,0.2", "gives an earlier reason another 'avoidable'"),
        ("b,r,2", "'avoidable' is not a number from 0 to 1"),
        ("b,r,lots", "'avoidable' is not a number from 0 to 1"),
        (",r,", "'code' is empty"),
    ],
)
def test_a_bad_mapping_is_refused(shell: Shell, row: str, said: str) -> None:
    codes = contacts(shell, "a,r,1", row, head="code,reason,avoidable", name="map.csv")
    done = shell("reasons", contacts(shell, "2026-03-02,a"), *COLUMNS, "--map", codes)
    assert done.code == 2
    assert f"map.csv, line 3: {said}; mend the row" in done.err


def test_an_event_that_foretells_brings_a_reason_to_the_top(shell: Shell, known: tuple[str | Path, ...]) -> None:
    document = shell(*known, "--json").document
    assert (document["unit"], document["rows"]) == ("contacts", 400)
    parcel, bill = document["reasons"]
    assert parcel["reason"] == "where_is_my_order"
    # The last call comes after the last event but one: where events are no longer known, contacts do not count.
    assert parcel["event"]["kind"] == "late"
    assert parcel["event"]["preceded"]["value"] == 1
    assert parcel["event"]["by_chance"] == 0
    assert parcel["event"]["lead_hours"] == [24, 24, 24]
    assert parcel["event"]["followed"]["value"] == 1
    assert parcel["score"] == parcel["yearly_value"]["low"] > 0
    assert (bill["score"], bill["event"]["preceded"]["value"]) == (0, 0)


def test_costs_make_it_money(shell: Shell, known: tuple[str | Path, ...]) -> None:
    plain = shell(*known, "--json").document["reasons"][0]["yearly_value"]
    money = shell(*known, "--cost", "8", "--json").document
    assert money["unit"] == "money"
    assert money["reasons"][0]["yearly_value"] == {end: pytest.approx(8 * value) for end, value in plain.items()}
    worked = shell(*known, "--handle-minutes", "12", "--hourly-cost", "40", "--json").document
    assert worked["reasons"] == money["reasons"]
    told = shell(*known, "--cost", "8", "--telling-cost", "0.5", "--json").document["reasons"]
    assert told[-1]["score"] < 0  # telling everybody about what nobody asks costs money
    double = shell(*known, "--cost", "8", "--deflection", "0.4", "--json").document["reasons"][0]
    assert double["score"] == pytest.approx(2 * money["reasons"][0]["score"])


def test_costs_without_events_say_what_could_be_spared_at_most(shell: Shell) -> None:
    file = contacts(shell, *(f"2026-03-{day:02},a" for day in range(2, 16)))
    [one] = shell("reasons", file, *COLUMNS, "--cost", "10", "--json").document["reasons"]
    assert one["yearly_cost"] == pytest.approx(3652.5)
    assert one["yearly_value"] == {"low": 0.0, "value": None, "high": pytest.approx(365.25)}
    out = shell("reasons", file, *COLUMNS, "--cost", "10").out
    assert "3,652" in out
    assert "spares at most" in out
    assert "would sharpen it: operational events" in out


def test_people_read_the_events_in_the_table(shell: Shell, known: tuple[str | Path, ...]) -> None:
    done = shell(*known, "--cost", "8")
    assert (done.code, done.err) == (0, "")
    head, parcel, *_ = done.out.splitlines()
    assert head.split()[:5] == ["reason", "contacts", "share", "weekly", "variation"]
    assert "late   100.0%       0.0%  24 h (24 to 24)" in parcel
    assert "ranked by the low end of a year's worth in money, where telling first is assumed to avoid 20%" in done.out
    assert "without it, telling everybody looks free" in done.out
    assert "deflect" not in done.out.lower()  # nothing here is measured against a hold-out


def test_without_a_kind_all_events_are_of_one(shell: Shell, known: tuple[str | Path, ...]) -> None:
    document = shell(*known[:-2], "--json").document
    assert {one["event"]["kind"] for one in document["reasons"]} == {"events"}


def test_bad_rows_of_events_are_named(shell: Shell) -> None:
    calls = contacts(shell, "2026-03-02,a,c-1", "2026-03-02,a,", head="at,why,who")
    happened = contacts(shell, "2026-03-01T10:00,", "2026-03-01T10:00,c-1", head="when,whom", name="events.csv")
    words = ("reasons", calls, *COLUMNS, "--customer", "who", "--events")
    beside = ("--event-time", "when", "--event-customer", "whom", "--json")
    done = shell(*words, happened, *beside)
    assert done.code == 0
    assert done.document["skipped"] == 1
    assert done.err.splitlines() == ["events.csv, line 2: 'whom' is empty", "c.csv, line 3: 'who' is empty"]
    none = shell(*words, contacts(shell, head="when,whom", name="none.csv"), *beside)
    assert (none.code, "none.csv: there is no event in it" in none.err) == (2, True)


def fill(database: Database, *, events: bool) -> None:
    called, happened = [], []
    for n in range(120):
        at = MONDAY + timedelta(hours=6 * n)
        called.append(Contact(id=f"{n}", customer=f"c-{n}", reason_code="where_is_my_order", occurred_at=at))
        called.append(Contact(id=f"o{n}", customer=f"d-{n}", reason_code="ODD", occurred_at=at))
        happened.append(
            Happened(
                source="shop", id=f"{n}", type="late", customer=f"c-{n}", occurred_at=at - timedelta(hours=9), data={}
            )
        )
    Contacts(database).save(called, source="desk", through=None, now=MONDAY)
    if events:
        Events(database).keep(happened, now=MONDAY)


def test_our_own_records_need_no_file(shell: Shell, database: Database) -> None:
    fill(database, events=True)
    document = shell("reasons", "--json").document
    assert (document["rows"], document["skipped"], document["unknown"]) == (240, 0, ["ODD"])
    first, second = document["reasons"]
    assert (first["reason"], first["event"]["kind"], first["event"]["lead_hours"]) == (
        "where_is_my_order",
        "late",
        [9, 9, 9],
    )
    assert second["score"] == 0
    done = shell("reasons")
    assert "kept, but not known: ODD" in done.out


def test_our_own_records_without_events_are_ranked_by_volume(shell: Shell, database: Database) -> None:
    fill(database, events=False)
    document = shell("reasons", "--json").document
    assert set(document) == {"rows", "skipped", "reasons"}
    assert [one["volume"] for one in document["reasons"]] == [120, 120]
    codes = contacts(shell, "ODD,where_is_my_order", head="code,reason", name="map.csv")
    mapped = shell("reasons", "--map", codes, "--json").document
    assert [(one["reason"], one["volume"]) for one in mapped["reasons"]] == [("where_is_my_order", 240)]
    assert mapped["unknown"] == []


def test_an_installation_without_contacts_says_so(shell: Shell) -> None:
    assert shell("reasons").out == "there is no contact to rank; 0 rows skipped\n"
    done = shell("reasons", "--time", "at")
    assert (done.code, "only beside a file of contacts" in done.err) == (2, True)


def test_memory_does_not_grow_with_the_file(shell: Shell, figure: Figure) -> None:
    def peak(rows: int) -> tuple[float, float]:
        at = [(MONDAY + timedelta(minutes=7 * n % 500_000)).isoformat() for n in range(rows)]
        calls = contacts(shell, *(f"{t},r-{n % 9},c-{n % (rows // 3)}" for n, t in enumerate(at)), head="at,why,who")
        happened = contacts(
            shell, *(f"{t},c-{n % (rows // 2)}" for n, t in enumerate(at)), head="at,whom", name="e.csv"
        )
        del at
        words = ("reasons", calls, *COLUMNS, "--customer", "who", "--events", happened)
        tracemalloc.start()
        begun = monotonic()
        assert shell(*words, "--event-time", "at", "--event-customer", "whom", "--json").document["rows"] == rows
        taken, (_, most) = monotonic() - begun, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / 1e6, taken

    (small, _), (large, seconds) = peak(ROWS // 4), peak(ROWS)
    figure(
        f"reasons, memory: {small:.1f} MB at {ROWS // 4:,} contacts and as many events,"
        f" {large:.1f} MB at {ROWS:,} ({seconds:.1f} s while traced)"
    )
    assert large < small + ROWS * 60 / 1e6  # far less than any row kept: a part of 64 and the histogram
