"""Importing what became of accounts: row by row, twice without harm, and never a value of a row in an error."""

import pytest

from tests.cli.conftest import Shell

HEAD = "account,at,event,value_minor\n"
GOOD = HEAD + "a-1,2026-03-01T12:00:00Z,churned,1200\na-2,2026-03-01 12:00,retained,\n"


def test_a_file_may_be_imported_again(shell: Shell) -> None:
    path = shell.file("events.csv", GOOD)
    first = shell("accounts", "import", path, "--source", "billing")
    assert (first.code, first.out) == (0, "2 events new, 0 corrected, 0 known already, 0 rows skipped\n")
    assert shell("accounts", "import", path, "--source", "billing", "--json").document == {
        "new": 0, "corrected": 0, "known": 2, "skipped": []
    }  # fmt: skip
    path.write_text(GOOD.replace("churned,1200", "contracted,400"))
    assert shell("accounts", "import", path, "--source", "billing", "--json").document["corrected"] == 1


def test_an_instant_without_a_zone_is_read_where_it_is_said(shell: Shell) -> None:
    path = shell.file("events.csv", "account,at,event\na-1,2026-03-01T12:00,churned\n")
    shell("accounts", "import", path, "--source", "billing", "--zone", "Europe/Berlin")
    path.write_text("account,at,event\na-1,2026-03-01T11:00:00Z,churned\n")
    assert shell("accounts", "import", path, "--source", "billing", "--json").document["known"] == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a-1,2026-03-01T12:00:00Z,left,1", "'event' is none of retained, churned, expanded, contracted"),
        ("a-1,soon,churned,1", "'at' is not an ISO 8601 instant"),
        ("a-1,2026-03-01T12:00:00Z,churned,-5", "'value_minor' is no whole number"),
        ("a-1,2026-03-01T12:00:00Z,churned,12.50", "'value_minor' is no whole number"),
        (f"a-1,2026-03-01T12:00:00Z,churned,{'9' * 30}", "'value_minor' is no whole number"),
        ("ana@example.org,2026-03-01T12:00:00Z,churned,1", "'account' looks like"),
        (",2026-03-01T12:00:00Z,churned,1", "'account' is empty"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(shell: Shell, row: str, why: str) -> None:
    path = shell.file("events.csv", f"{HEAD}{row}\na-2,2026-03-01T12:00:00Z,retained,\n")
    done = shell("accounts", "import", path, "--source", "billing")
    assert done.code == 0
    assert done.err.startswith(f"events.csv, line 2: {why}")
    assert "ana@" not in done.err
    assert done.out == "1 event new, 0 corrected, 0 known already, 1 row skipped\n"
    assert shell("accounts", "import", path, "--source", "billing", "--strict").code == 2


def test_one_account_and_instant_is_told_once_a_file(shell: Shell) -> None:
    path = shell.file("events.csv", HEAD + "a,2026-03-01T12:00:00Z,churned,1\na,2026-03-01T13:00:00+01:00,retained,\n")
    done = shell("accounts", "import", path, "--source", "billing")
    assert "line 3: repeats the account and instant of an earlier row" in done.err


def test_a_source_has_a_plain_name(shell: Shell) -> None:
    path = shell.file("events.csv", GOOD)
    for name in (" ", "ana@example.org"):
        assert shell("accounts", "import", path, "--source", name).code == 2
    assert shell("accounts", "import", path).code == 2
