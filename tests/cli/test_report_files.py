"""The report as files: what a spreadsheet would run is text to it, and numbers stay numbers."""

import csv
import sys
from pathlib import Path

import pytest

from tellfirst.cli.report_rows import COLUMNS, plain, rows, write_csv, write_parquet
from tellfirst.errors import RefusedError, SourceError
from tellfirst.measurement.report import report
from tellfirst.store.engine import Database
from tests.cli.conftest import Shell
from tests.cli.test_report import record
from tests.measurement.recorded import REFERENCE, outcome

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\r=1",
    "\n=1",
    '"=1',
    "''=1",
    "  =1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff@x",
    "\u201c=1",
    "\uff1d1",
    "\uff0b1",
    "\u0000=1",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(text: str) -> None:
    assert plain(text) == f"'{text}"


@pytest.mark.parametrize("text", ["where_is_my_order", "a=1", "x-y", "1", "", "late; =1", "\u00e4"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


def test_a_spreadsheet_gets_texts_quoted_and_numbers_bare(tmp_path: Path) -> None:
    made = report(
        [*REFERENCE, outcome("=cmd|' /C calc'!A0", (900, 60), (100, 15)), outcome('a";=1', (900, 6), (100, 9))]
    )
    file = tmp_path / "report.csv"
    write_csv(file, rows(made, outreaches=True))
    text = file.read_bytes().decode()
    assert ';=1"' in text, "a semicolon begins no cell: the text around it is quoted"
    with file.open(newline="", encoding="utf-8") as opened:
        found = list(csv.DictReader(opened))
    assert [(one["level"], one["reason_code"]) for one in found][:6] == [
        ("reason", "where_is_my_order"),
        ("reason", "payment_failed"),
        ("reason", "'=cmd|' /C calc'!A0"),
        ("reason", 'a";=1'),
        ("reason", "onboarding"),
        ("reason", "appointment"),
    ]
    assert len(found) == 12
    first = found[0]
    assert float(first["difference"]) == pytest.approx(-0.0472, abs=1e-4)
    assert (first["treated_n"], first["outreaches"], first["grade"]) == ("18041", "1", "A")
    # Unquoted, so that a negative number is one: texts alone are in quotes.
    assert f",{float(first['difference'])!r}," in text
    quoting = csv.reader(text.splitlines(keepends=True), quoting=csv.QUOTE_NONNUMERIC)
    for row in [*quoting][1:]:
        numbers = [value for value in row if not isinstance(value, str)]
        assert len(numbers) >= 5
        assert not any(value[:1] in "=+-@\t\r" for value in row if isinstance(value, str) and value)


def test_what_is_withheld_is_empty(tmp_path: Path) -> None:
    made = report([outcome("x", (900, 90), (100, 20), share=0.5), outcome("e", (500, 0), (50, 0), arrived=False)])
    for row in rows(made, outreaches=True):
        assert {row[name] for name in COLUMNS if "rate" in name or "contacted" in name or "ci_" in name} == {None}
        assert row["difference"] is None
        assert "deflect" not in str(row)


def test_parquet_keeps_types(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB, which writes Parquet, is not installed")
    made = report([*REFERENCE, outcome("=1+1", (900, 60), (100, 15))])
    file = tmp_path / "it's a report.parquet"
    write_parquet(file, rows(made, outreaches=False))
    with duckdb.connect(":memory:") as engine:
        found = engine.read_parquet(str(file))
        assert dict(zip(found.columns, map(str, found.types), strict=True)) == {
            name: "TIMESTAMP WITH TIME ZONE" if kind == "TIMESTAMPTZ" else kind for name, kind in COLUMNS.items()
        }
        by_reason = {row[1]: row for row in found.fetchall()}
    assert by_reason["=1+1"][COLUMNS_AT["treated_n"]] == 900
    assert by_reason["where_is_my_order"][COLUMNS_AT["difference"]] == pytest.approx(-0.0472, abs=1e-4)


COLUMNS_AT = {name: place for place, name in enumerate(COLUMNS)}


def test_without_duckdb_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(RefusedError, match=r"--parquet: Parquet is written by DuckDB, which is not installed; install"):
        write_parquet(tmp_path / "r.parquet", [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be written"):
        write_csv(tmp_path / "nowhere" / "r.csv", [])


def test_the_command_writes_every_file_and_says_so(shell: Shell, database: Database, tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="DuckDB, which writes Parquet, is not installed")
    record(database, "k-1", (500, 50), (500, 100))
    files = {option: tmp_path / f"r.{option}" for option in ("html", "csv", "parquet")}
    done = shell("report", "--json", *(word for option, file in files.items() for word in (f"--{option}", str(file))))
    assert done.code == 0
    assert done.document["reasons"][0]["reason_code"] == "where_is_my_order"
    assert done.err.splitlines() == [f"{files[name]}: written" for name in ("csv", "parquet", "html")]
    page = files["html"].read_text()
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "\u221210.0" in page
    assert shell("report", "--html", str(tmp_path / "nowhere" / "r.html")).code == 1
