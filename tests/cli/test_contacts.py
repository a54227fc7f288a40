"""Contacts on the command line: imported once however often, corrected, withdrawn, mapped, and each source watched."""

import os
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

from tellfirst.cli.contacts import save_in_parts
from tellfirst.cli.imports import PART
from tellfirst.store.contacts import Contact, Contacts, Saved
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.tables import ContactRow
from tests.cli.conftest import Shell
from tests.figures import Figure
from tests.store.make import OUTREACH, by, candidate, paged

CONTACT_HEAD = "id,customer_id,reason_code,occurred_at,channel\n"
FULL_HEAD = "id,customer_id,reason_code,occurred_at,channel,handle_seconds,resolved_at,withdrawn\n"
SECRET = "do-not-repeat"


def contacts_file(shell: Shell, *rows: str) -> object:
    return shell.file("k.csv", CONTACT_HEAD + "".join(row + "\n" for row in rows))


def test_contacts_are_counted_and_imported_once(shell: Shell, database: Database) -> None:
    shell("customers", "import", shell.file("c.csv", "id\nc-1\n"))
    path = contacts_file(
        shell,
        "k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,phone",
        "k-2,c-9,where_is_my_order,2026-03-01T12:00:00+02:00,",
        "k-3,c-1,parcel_colour,2026-03-01T09:00:00,chat",
    )
    done = shell("contacts", "import", str(path), "--source", "desk")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "3 contacts new, 0 corrected, 0 withdrawn, 0 known already; 0 rows skipped",
        "1 of their customers is not among ours; these contacts are kept",
        "kept, but no playbook measures: parcel_colour",
        "say what these stand for with `tellfirst contacts map`",
        "contacts of 'desk' are complete through 2026-03-01T10:00:00+00:00",
    ]
    assert Contacts(database).known(["k-1", "k-2", "k-3"]) == {"k-1", "k-2", "k-3"}
    again = shell("contacts", "import", str(path), "--source", "desk", "--json")
    assert again.document == {
        "new": 0,
        "corrected": 0,
        "withdrawn": 0,
        "known": 3,
        "skipped": [],
        "unknown_customers": 1,
        "unknown_reasons": ["parcel_colour"],
        "through": "2026-03-01T10:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("more", "through"),
    [
        ([], "2026-03-01T10:00:00+00:00"),
        (["--zone", "Europe/Berlin"], "2026-03-01T09:00:00+00:00"),
        (["--through", "2026-03-05T00:00:00"], "2026-03-05T00:00:00+00:00"),
        (["--through", "2026-03-05T00:00:00+01:00"], "2026-03-04T23:00:00+00:00"),
    ],
)
def test_the_watermark_is_where_the_contacts_end(
    shell: Shell, database: Database, more: list[str], through: str
) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2026-03-01T10:00:00,")
    assert shell("contacts", "import", str(path), "--source", "desk", *more).code == 0
    assert Contacts(database).watermark() == datetime.fromisoformat(through)


def test_a_watermark_of_the_future_is_remarked_on(shell: Shell) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,")
    done = shell("contacts", "import", str(path), "--source", "desk", "--through", "2999-01-01T00:00:00Z")
    assert done.code == 0
    assert "an instant that has not come" in done.err


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f",c-1,where_is_my_order,2026-03-01T10:00:00Z,{SECRET}", "'id' is empty"),
        (f"k-2,{SECRET}@example.com,where_is_my_order,2026-03-01T10:00:00Z,", "'customer_id' looks like an e-mail"),
        (f"k-2,c-1,{SECRET * 10},2026-03-01T10:00:00Z,", "'reason_code' is not a code"),
        ("k-2,c-1,+1 415 555 0123,2026-03-01T10:00:00Z,", "'reason_code' is not a code"),
        (f"k-2,c-1,where_is_my_order,{SECRET},", "'occurred_at' is not an ISO 8601 instant"),
        ("k-2,c-1,where_is_my_order,2026-03-01,", "'occurred_at' is a day and no instant"),
        ("k-2,c-1,where_is_my_order,0001-01-01T00:00:00+14:00,", "'occurred_at' is not an ISO 8601 instant"),
        ("k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,", "repeats the id"),
    ],
)
def test_a_malformed_contact_is_named_by_its_line(shell: Shell, database: Database, row: str, says: str) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,", row)
    done = shell("contacts", "import", str(path), "--source", "desk", "--json")
    assert done.err.startswith(f"k.csv, line 3: {says}")
    assert SECRET not in done.err + done.out
    assert (done.document["new"], len(done.document["skipped"])) == (1, 1)
    strict = shell("contacts", "import", str(path), "--source", "other", "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert Contacts(database).watermark() == datetime(2026, 3, 1, 10, tzinfo=UTC)  # of the first source alone


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--through", "soon"], "'--through' is not an ISO 8601 instant"),
        (["--zone", "Berlin/Nowhere"], "'--zone' is not a time zone"),
        (["--source", " "], "a source needs a plain name"),
        (["--source", "desk@example.org"], "a source needs a plain name"),
        (["--source", "replies"], "is what our own contacts are kept under"),
    ],
)
def test_a_wrong_option_is_named(shell: Shell, more: list[str], says: str) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,")
    done = shell("contacts", "import", str(path), "--source", "desk", *more)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def full_file(shell: Shell, *rows: str) -> Path:
    return shell.file("full.csv", FULL_HEAD + "".join(row + "\n" for row in rows))


def stored(database: Database) -> dict[str, ContactRow]:
    with database.read() as session:
        return {row.id: row for row in session.exec(select(ContactRow))}


def test_what_is_told_otherwise_is_corrected_and_what_is_withdrawn_goes(shell: Shell, database: Database) -> None:
    first = full_file(
        shell,
        "k-1,c-1,late,2026-03-01T10:00:00,phone,300,2026-03-01T11:00:00+01:00,",
        "k-2,c-1,late,2026-03-01T10:00:00Z,phone,,,no",
        "k-3,c-2,,2026-03-01T10:00:00Z,,,,",
    )
    words = ("contacts", "import", first, "--source", "desk", "--zone", "Europe/Berlin", "--json")
    assert shell(*words).document["new"] == 3
    row = stored(database)["k-1"]
    assert (row.occurred_at.hour, row.handle_seconds, row.resolved_at) == (9, 300, datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert stored(database)["k-3"].reason_code == ""
    full_file(
        shell,
        "k-1,c-1,refund,2026-03-01T10:00:00,,,,",
        "k-2,c-1,late,2026-03-01T10:00:00Z,phone,,,yes",
        "k-3,c-2,,2026-03-01T10:00:00Z,,,,",
    )
    assert shell(*words[:-1]).out.splitlines()[0] == (
        "0 contacts new, 1 corrected, 1 withdrawn, 1 known already; 0 rows skipped"
    )
    again = shell(*words).document
    assert (again["new"], again["corrected"], again["withdrawn"], again["known"]) == (0, 0, 0, 3)
    assert {id_: (row.reason_code, row.handle_seconds) for id_, row in stored(database).items()} == {
        "k-1": ("refund", 300),
        "k-3": ("", None),
    }


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,-1,,", "'handle_seconds' is not a number of whole seconds"),
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,1.5,,", "'handle_seconds' is not a number of whole seconds"),
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,9999999999,,", "'handle_seconds' is not a number of whole seconds"),
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,,2026-03-02,", "'resolved_at' is a day and no instant"),
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,,2026-03-01T09:00:00Z,", "'resolved_at' is before 'occurred_at'"),
        ("k-2,c-1,late,1970-01-01T00:00:00Z,,,,", "'occurred_at' is no instant of our time"),
        ("k-2,c-1,late,2026-03-01T10:00:00Z,,,,maybe", "'withdrawn' is neither yes nor no"),
    ],
)
def test_a_malformed_addition_is_named(shell: Shell, row: str, says: str) -> None:
    done = shell("contacts", "import", full_file(shell, row), "--source", "desk")
    assert done.err.startswith(f"full.csv, line 2: {says}")


def test_a_source_is_as_complete_as_it_ever_was(shell: Shell, database: Database) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2026-03-01T10:00:00Z,")
    words = ("contacts", "import", str(path), "--source", "desk")
    shell(*words, "--through", "2026-03-05T00:00:00Z")
    done = shell(*words)
    assert done.out.splitlines()[-1] == (
        "contacts of 'desk' are complete through 2026-03-05T00:00:00+00:00, as they were before"
    )


def test_contacts_of_tomorrow_do_not_make_a_source_complete(shell: Shell, database: Database) -> None:
    path = contacts_file(shell, "k-1,c-1,where_is_my_order,2199-03-01T10:00:00Z,")
    shell("contacts", "import", str(path), "--source", "desk")
    assert (Contacts(database).watermark() or datetime.max.replace(tzinfo=UTC)) <= datetime.now(UTC)


def test_an_interrupted_import_leaves_the_source_incomplete(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    calls = [Contact(id=f"k-{n}", customer="c-1", reason_code="late", occurred_at=now) for n in range(PART + 10)]

    def interrupted() -> Iterator[Contact]:
        yield from calls
        raise KeyboardInterrupt

    contacts = Contacts(database)
    with pytest.raises(KeyboardInterrupt):
        save_in_parts(contacts, interrupted(), source="desk", through=now, clock=lambda: now)
    assert capsys.readouterr().err == (
        "interrupted: 2,000 contacts saved; import the file again, it changes nothing for them\n"
    )
    assert contacts.watermark() is None
    saved = save_in_parts(contacts, iter(calls), source="desk", through=now, clock=lambda: now)
    assert (saved, contacts.watermark()) == (Saved(new=10, known=PART), now)


def test_sources_tell_who_stopped_sending(shell: Shell, database: Database) -> None:
    assert "no contacts yet" in shell("contacts", "sources").out
    now = datetime.now(UTC).replace(microsecond=0)
    contacts, day = Contacts(database), timedelta(days=1)
    call = Contact(id="t-1", customer="c-1", reason_code="late", occurred_at=now)
    contacts.save([call], source="desk", through=now, now=now)
    contacts.save([call.model_copy(update={"reason_code": "refund"})], source="desk", through=None, now=now)
    contacts.save([], source="phone", through=now - 3 * day, now=now - 2 * day)
    contacts.save([call], source="chat", through=None, now=now)
    contacts.save([call], source="replies", through=None, now=now)
    lines = shell("contacts", "sources").out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["source", "phone", "desk", "chat", "replies"]
    assert lines[5:] == [
        "'phone' is 3 days behind, and was last heard of 2 days ago: windows that end later wait for it",
        "'chat' never said how far it is complete: no window waits for it",
    ]
    found = {one["source"]: one for one in shell("contacts", "sources", "--json").document}
    assert (found["desk"]["contacts"], found["desk"]["corrected"], found["phone"]["contacts"]) == (1, 1, 0)
    assert found["chat"]["through"] is None


def test_codes_are_listed_mapped_and_listed_no_more(shell: Shell, database: Database) -> None:
    path = contacts_file(
        shell,
        "k-1,c-1,WISMO,2026-03-01T10:00:00Z,",
        "k-2,c-1,WISMO,2026-03-01T11:00:00Z,",
        "k-3,c-1,,2026-03-01T10:00:00Z,",
    )
    shell("contacts", "import", str(path), "--source", "desk")
    lines = [line.split() for line in shell("contacts", "unmapped").out.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["WISMO", "2"], ["(none)", "1"]]
    done = shell("contacts", "map", "WISMO", "where_is_my_order", "--as", "ana")
    assert (done.code, done.err) == (0, "")
    assert done.out == "'WISMO' stands for 'where_is_my_order'; 2 contacts corrected\n"
    assert [one["given"] for one in shell("contacts", "unmapped", "--json").document] == [""]
    assert shell("contacts", "map", "", "no_reason", "--as", "ana").err == "no playbook measures 'no_reason'\n"
    assert "or mapped" in shell("contacts", "unmapped").out
    again = shell("contacts", "import", str(path), "--source", "desk", "--json").document
    assert (again["known"], again["unknown_reasons"]) == (3, [])
    listed = [line.split()[:3] for line in shell("contacts", "map", "--list").out.splitlines()[1:]]
    assert listed == [["(none)", "no_reason", "1"], ["WISMO", "where_is_my_order", "2"]]
    assert [one["by"] for one in shell("contacts", "map", "--list", "--json").document] == ["ana", "ana"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["WISMO"], "contacts map: needs GIVEN and REASON, or --list"),
        (["WISMO", ""], "REASON: is not a code of 1 to 100 characters"),
        (["ana@example.org", "late"], "GIVEN: is not a code of 1 to 100 characters"),
    ],
)
def test_a_wrong_mapping_is_named(shell: Shell, words: list[str], says: str) -> None:
    done = shell("contacts", "map", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(says)


def test_accounts_are_merged_once(shell: Shell, database: Database) -> None:
    shell("customers", "import", shell.file("c.csv", "id,cluster\nc-1,home\nc-2,home\nc-3,\n"))
    shell("contacts", "import", str(contacts_file(shell, "k-1,c-2,late,2026-03-01T10:00:00Z,")), "--source", "desk")
    done = shell("customers", "merge", "home", "c-3", "--as", "ana")
    assert (done.code, done.out) == (0, "merged: 2 customers and 1 contact went over\n")
    assert stored(database)["k-1"].cluster == "c-3"
    assert shell("customers", "merge", "home", "c-3", "--as", "ana").out == "they are one account already\n"
    assert shell("customers", "merge", "home", "c-3", "--json").document == {
        "merged": False,
        "customers": 0,
        "contacts": 0,
    }
    circle = shell("customers", "merge", "c-3", "home", "--as", "ana")
    assert (circle.code, circle.err) == (
        1,
        "INTO: was merged into OLD; nothing needs to be merged: they are one account\n",
    )
    unknown = shell("customers", "merge", "c-3", "nobody", "--as", "ana")
    assert (unknown.code, unknown.err) == (
        1,
        "INTO: nothing is known of such an account; import its customers first\n",
    )


def test_who_corrects_never_sees_an_arm(shell: Shell, database: Database) -> None:
    """Whoever knew it could correct the contacts of one arm alone."""
    recipients = paged(database, [candidate(f"c-{n}") for n in range(6)])
    recipients.randomise(OUTREACH, 1, by(), page=0)
    people = [CustomerRecord(id=f"c-{n}", addresses={}) for n in range(6)]
    Customers(database).save(people, now=datetime.now(UTC), source="test")
    path = contacts_file(shell, *(f"k-{n},c-{n},WISMO,2026-03-01T10:00:00Z," for n in range(6)))
    said = [
        shell("contacts", "import", str(path), "--source", "desk"),
        shell("contacts", "import", str(path), "--source", "desk", "--json"),
        shell("contacts", "sources"),
        shell("contacts", "sources", "--json"),
        shell("contacts", "unmapped", "--json"),
        shell("contacts", "map", "WISMO", "where_is_my_order", "--as", "ana", "--json"),
        shell("contacts", "map", "--list", "--json"),
        shell("customers", "merge", "c-1", "c-2", "--as", "ana", "--json"),
    ]
    assert [done.code for done in said] == [0] * len(said)
    assert not any(word in done.out + done.err for done in said for word in ("control", "treated", "arm", "held"))


def test_a_large_file_is_imported_in_parts(shell: Shell, database: Database, figure: Figure) -> None:
    rows = int(os.environ.get("TELLFIRST_TEST_CONTACTS", "5000"))
    lines = (
        f"k-{n},c-{n % 50_000},code-{n % 40},2026-03-01T10:{n // 60 % 60:02}:{n % 60:02}Z,phone\n" for n in range(rows)
    )
    path = shell.file("large.csv", CONTACT_HEAD + "".join(lines))
    spent = []
    for new in (rows, 0):
        began = time.perf_counter()
        assert shell("contacts", "import", path, "--source", "desk", "--json").document["new"] == new
        spent.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figure(f"contacts: {rows:,} rows imported in {spent[0]:.1f} s, again in {spent[1]:.1f} s, at most {peak} MiB")
    with database.read() as session:
        assert len(session.exec(select(col(ContactRow.id))).all()) == rows
