"""Files from outside: what is good is kept, what is not is named by its line, and strictly means all or nothing."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tellfirst.cli import imports
from tellfirst.cli.imports import PART, save_in_parts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database, open_engine
from tests.cli.conftest import Shell

HEAD = "id,first_name,locale,timezone,cluster,sms,email,in_app,opt_out\n"
SECRET = "do-not-repeat"


def customer(database: Database, id_: str = "c-1") -> object:
    return Customers(database).resolve([id_]).get(id_)


def test_customers_are_kept_as_they_are_written_to(shell: Shell, database: Database) -> None:
    row = "c-1,Ana,en-gb,Europe/Berlin,home-7,+1 (415) 555-0123,Ana@EXAMPLE.com,u-1,sms; email\n"
    done = shell("customers", "import", shell.file("c.csv", "\ufeff" + HEAD + row + "\n"))
    assert (done.code, done.err) == (0, "")
    assert done.out == "1 customer imported: 1 new, 0 replaced; 0 rows skipped\n"
    found = Customers(database).resolve(["c-1"])["c-1"]
    assert (found.first_name, found.locale, found.timezone, found.cluster) == (
        "Ana",
        "en_GB",
        "Europe/Berlin",
        "home-7",
    )
    assert {c: a.address for c, a in found.addresses.items()} == {
        "sms": "+14155550123",
        "email": "Ana@example.com",
        "in_app": "u-1",
    }
    assert sorted((c.channel, c.purpose, c.allowed) for c in found.consents) == [
        ("email", "*", False),
        ("sms", "*", False),
    ]


def test_only_the_id_is_needed(shell: Shell, database: Database) -> None:
    done = shell("customers", "import", shell.file("c.csv", "id\nc-1\n"), "--json")
    assert done.document == {"imported": 1, "new": 1, "replaced": 0, "skipped": []}
    found = Customers(database).resolve(["c-1"])["c-1"]
    assert (found.locale, found.timezone, found.cluster, found.addresses) == ("en", None, "c-1", {})


def test_an_import_replaces_but_never_undoes_an_opt_out(shell: Shell, database: Database) -> None:
    shell("customers", "import", shell.file("c.csv", "id,sms,opt_out\nc-1,+14155550123,*\n"))
    done = shell("customers", "import", shell.file("c.csv", "id,in_app\nc-1,u-1\nc-2,u-2\n"), "--json")
    assert (done.document["new"], done.document["replaced"]) == (1, 1)
    found = Customers(database).resolve(["c-1"])["c-1"]
    assert list(found.addresses) == ["in_app"]
    assert [c.channel for c in found.consents] == ["*"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{SECRET}@example.com,,,,,,,,", "'id' looks like an e-mail address"),
        ("+14155550123,,,,,,,,", "'id' looks like a phone number"),
        (",,,,,,,,", "'id' is empty"),
        (f"{SECRET * 20},,,,,,,,", "'id' is longer than 200 characters"),
        (f"c-2,{SECRET * 10},,,,,,,", "'first_name' is longer"),
        (f"c-2,,{SECRET},,,,,,", "'locale' is not like"),
        (f"c-2,,,{SECRET},,,,,", "'timezone' is not a time zone"),
        (f"c-2,,,../{SECRET},,,,,", "'timezone' is not a time zone"),
        (f"c-2,,,,{SECRET}@example.com,,,,", "'cluster' looks like an e-mail address"),
        (f"c-2,,,,,{SECRET},,,", "'sms' is not a valid number"),
        ("c-2,,,,,4155550123,,,", "'sms' is not a valid number"),
        ("c-2,,,,,+1415555,,,", "'sms' is not a valid number"),
        (f"c-2,,,,,,{SECRET}@nowhere,,", "'email' is not a valid address"),
        (f"c-2,,,,,,,{SECRET * 20},", "'in_app' is longer"),
        (f"c-2,,,,,,,,{SECRET}", "'opt_out' may name sms, whatsapp, voice, email, push, in_app, person"),
        (f"c-2,{SECRET}", "has 2 cells instead of 9"),
        (f"c-2,,,,,,,,,{SECRET}", "has 10 cells instead of 9"),
        (f"c-2,{SECRET}\x00,,,,,,,", "holds a NUL character"),
        ("c-1,Again,,,,,,,", "repeats the id of an earlier row"),
    ],
)
def test_a_malformed_row_is_named_by_its_line_and_skipped(
    shell: Shell, database: Database, row: str, says: str
) -> None:
    text = HEAD + 'c-1,"An\na",,,,,,,\n' + row + "\nc-3,,,,,,,,\n"
    done = shell("customers", "import", shell.file("c.csv", text), "--json")
    assert done.code == 0
    assert done.err.startswith("c.csv, line 4: ")
    assert says in done.err
    assert SECRET not in done.err + done.out
    assert done.document["imported"] == 2
    assert [skipped["line"] for skipped in done.document["skipped"]] == [4]
    assert set(Customers(database).resolve(["c-1", "c-2", "c-3"])) == {"c-1", "c-3"}


def test_strict_loads_nothing_when_one_row_is_malformed(shell: Shell, database: Database) -> None:
    path = shell.file("c.csv", HEAD + "c-1,,,,,,,,\n,,,,,,,,\n")
    done = shell("customers", "import", path, "--strict")
    assert (done.code, done.out) == (2, "")
    assert "line 3: 'id' is empty" in done.err
    assert "1 malformed row, so nothing was loaded; mend them" in done.err
    assert customer(database) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f"id,{SECRET}\nc-1,x\n", "line 1: column 2 is not known; its columns may be id, first_name"),
        ("sms\n+14155550123\n", "line 1: the column 'id' is missing; the first line names the columns"),
        ("id,sms,id\nc-1,,c-2\n", "line 1: a column is named twice"),
        (f"{SECRET},{SECRET},id\nc-1,x\n", "line 1: columns 1 and 2 are not known; its columns may be id"),
        (f"id;sms;{SECRET}\nc-1;;\n", "line 1: column 1 is not known; it is separated by semicolons; export it with"),
        ("id\tsms\nc-1\t\n", "line 1: column 1 is not known; it is separated by tabs; export it with commas"),
        (b"PK\x03\x04\x00\x00", "line 1: column 1 is not known; it is no text; export it as CSV"),
        ("", "is empty; the first line names the columns"),
        ("sms\n", "line 1: the column 'id' is missing"),
        (b"id\nc-\xff\n", "is not UTF-8 text; save it as UTF-8"),
        (f'id\nc-1\n"c-2\n{SECRET}\n', "line 3: the quotes of this row are broken"),
    ],
)
def test_a_file_that_is_no_table_is_refused_whole(
    shell: Shell, database: Database, content: str | bytes, says: str
) -> None:
    done = shell("customers", "import", shell.file("c.csv", content))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert SECRET not in done.err
    assert customer(database) is None


def test_a_file_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("customers", "import", shell.folder / "none.csv")
    assert done.code == 2
    assert "none.csv: cannot be read: No such file or directory" in done.err


def test_many_malformed_rows_are_counted(shell: Shell) -> None:
    done = shell("customers", "import", shell.file("c.csv", "id,sms\n" + "c,x,y\n" * 60))
    assert done.err.count("\n") == 51
    assert "and 10 more malformed rows" in done.err
    assert "60 rows skipped" in done.out


def test_saving_a_customer_twice_at_once_keeps_the_last(database: Database) -> None:
    first = CustomerRecord(id="c-1", addresses={"sms": "+14155550123"})
    last = CustomerRecord(id="c-1", addresses={"in_app": "u-1"}, first_name="Ana")
    Customers(database).save([first, last], now=datetime.now(UTC), source="test")
    found = Customers(database).resolve(["c-1"])["c-1"]
    assert (found.first_name, list(found.addresses)) == ("Ana", ["in_app"])


def test_an_address_that_changes_works_again(database: Database) -> None:
    customers = Customers(database)
    for address, usable in (("+14155550123", True), ("+14155550123", False), ("+14155550124", True)):
        customers.save([CustomerRecord(id="c-1", addresses={"sms": address})], now=datetime.now(UTC), source="test")
        if address == "+14155550123":
            customers.mark_unusable({"c-1": "sms"})
            usable = False
        assert customers.resolve(["c-1"])["c-1"].addresses["sms"].usable is usable


# -- large files


def people(count: int) -> Iterator[CustomerRecord]:
    return (CustomerRecord(id=f"c-{n}", addresses={"in_app": f"u-{n}"}) for n in range(count))


def test_another_writer_gets_through_while_a_large_file_is_saved(shell: Shell, database: Database) -> None:
    another = Database(open_engine(shell.settings.database))
    known: list[int] = []

    def arriving() -> Iterator[CustomerRecord]:
        for number, record in enumerate(people(2 * PART + 1)):
            if number in (1, PART, 2 * PART):
                # Were one transaction open all the while, this would wait until it times out.
                Controls(another).turn_on(f"switch-{number}", "x", by="eve", at=datetime.now(UTC))
                known.append(len(Customers(database).known([f"c-{n}" for n in range(2 * PART)])))
            yield record

    assert save_in_parts(Customers(database), arriving(), now=datetime.now(UTC)) == (2 * PART + 1, 0)
    assert known == [0, PART, 2 * PART]
    assert len(Controls(database).on()) == 3
    another.close()


def test_an_interrupted_import_says_so_and_is_mended_by_another(
    shell: Shell, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> Iterator[CustomerRecord]:
        yield from people(PART + 10)
        raise KeyboardInterrupt

    customers = Customers(database)
    with pytest.raises(KeyboardInterrupt):
        save_in_parts(customers, interrupted(), now=datetime.now(UTC))
    assert capsys.readouterr().err == (
        "interrupted: 2,000 customers saved; import the file again, it changes nothing for them\n"
    )
    assert save_in_parts(customers, people(PART + 10), now=datetime.now(UTC)) == (PART + 10, PART)


def test_a_row_that_was_not_checked_is_not_skipped_in_silence(
    shell: Shell, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shell.file("c.csv", "id\nc-1\n")

    def grow(*_: object, **__: object) -> None:
        path.write_text(path.read_text() + ",\n")

    monkeypatch.setattr(imports, "tell_malformed", grow)
    done = shell("customers", "import", path, "--strict")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].endswith("c.csv: changed while it was imported; import it again")


def test_what_cannot_be_read_twice_is_refused(shell: Shell) -> None:
    os.mkfifo(shell.folder / "pipe")
    done = shell("customers", "import", shell.folder / "pipe")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("pipe: is not a file that can be read twice; save it as a file\n")


def test_addresses_of_every_channel_are_read(shell: Shell, database: Database) -> None:
    token = "fXk3:APA91b-" + "x" * 150
    rows = f"c-1,+1 415 555 0123,+14155550124,{token},+14155550125\nc-2,,,two words,\n"
    done = shell("customers", "import", shell.file("c.csv", "id,whatsapp,voice,push,person\n" + rows))
    assert "'push' is not the registration token of a device" in done.err
    found = Customers(database).resolve(["c-1"])["c-1"]
    assert {c: a.address for c, a in found.addresses.items()} == {
        "whatsapp": "+14155550123",
        "voice": "+14155550124",
        "push": token,
        "person": "+14155550125",
    }


WHO = "id,region,business,high_value,preferred\n"


def test_who_a_customer_is_decides_how_they_are_reached(shell: Shell, database: Database) -> None:
    shell("customers", "import", shell.file("c.csv", WHO + "c-1,us-ca,yes,TRUE,Email\nc-2,,no,,\n"))
    one, two = (Customers(database).resolve([id_])[id_] for id_ in ("c-1", "c-2"))
    assert (one.region, one.business, one.high_value, one.preferred) == ("US-CA", True, True, "email")
    assert (two.region, two.business, two.high_value, two.preferred) == (None, False, False, None)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("c-1,Bavaria,,,", "'region' is not a country or a part of one"),
        ("c-1,XX-CA,,,", "'region' is not a country or a part of one"),
        ("c-1,US-CALI,,,", "'region' is not a country or a part of one"),
        ("c-1,,maybe,,", "'business' is neither yes nor no"),
        ("c-1,,,very,", "'high_value' is neither yes nor no"),
        ("c-1,,,,pigeon", "'preferred' is not one of sms, whatsapp, voice, email, push, in_app, person"),
    ],
)
def test_what_is_not_said_clearly_of_a_customer_is_refused(shell: Shell, row: str, says: str) -> None:
    done = shell("customers", "import", shell.file("c.csv", WHO + row + "\n"))
    assert says in done.err
