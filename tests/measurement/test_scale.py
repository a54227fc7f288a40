"""Windows of a million recipients and five million contacts: as DuckDB counts them, and in at most twice its time."""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tellfirst.store.windows import Windows, accounts
from tests.figures import Figure
from tests.measurement.made_up import ACCOUNTS, FIGURES, TABLES, make, rows
from tests.postgres import started

RECIPIENTS = int(os.environ.get("TELLFIRST_SCALE", "8000"))
"""Small by default, for a look at the sums; `TELLFIRST_SCALE=1000000` is what the time is promised of."""
ROUNDS = 5
AT_ONCE = 2
"""Queries at once: DuckDB too has two threads."""
SETTINGS = {
    "maintenance_work_mem": "512MB",
    "shared_buffers": "1GB",
    "random_page_cost": "1.1",
    "effective_cache_size": "4GB",
    "fsync": "off",
}
"""As docs/operations.md has them, but for fsync: nothing here need survive a power cut."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Yields a folder whose path is short enough for a unix socket."""
    made = Path(tempfile.mkdtemp(prefix="tf-scale-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def other(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields the installation in DuckDB."""
    with make(folder / "made.duckdb", RECIPIENTS) as made:
        yield made


@pytest.fixture(scope="module")
def database(folder: Path, other: duckdb.DuckDBPyConnection) -> Iterator[Database]:
    """Yields the same installation in PostgreSQL, in our own tables."""
    with started(folder / "data", SETTINGS) as url:
        engine = open_engine(url)
        migrate(engine)
        with psycopg.connect(url, autocommit=True) as connection:
            for table, columns in TABLES.items():
                made = _without_indexes(connection, table)
                _copy(other, connection, table, columns, folder / "rows.csv")
                for index in made:
                    connection.execute(index)
            connection.execute("VACUUM ANALYZE")
        opened = Database(engine)
        yield opened
        opened.close()


def _without_indexes(connection: Any, table: str) -> list[str]:
    """Drops what would be kept in order row by row, and returns how to make it again at once."""
    found = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE 'CREATE UNIQUE%%'",
        [table],
    ).fetchall()
    for name, _ in found:
        connection.execute(f'DROP INDEX "{name}"')
    return [made for _, made in found]


def _copy(other: duckdb.DuckDBPyConnection, connection: Any, table: str, columns: str, through: Path) -> None:
    named = ", ".join(f'"{one.strip()}"' for one in columns.split(","))
    other.execute(f"COPY (SELECT {named} FROM {table}) TO '{through}' (FORMAT csv, HEADER false)")
    with (
        through.open("rb") as file,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({named}) FROM STDIN (FORMAT csv)") as into,
    ):
        while block := file.read(1 << 20):
            into.write(block)


def _all(database: Database, outreaches: list[str]) -> list[dict[str, Any]]:
    windows, by_reason = Windows(database), groupby(sorted(outreaches), key=lambda name: name.split("/")[1])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = pool.map(windows.count_all, [list(some) for _, some in by_reason])
        counted = [one for some in jobs for one in some.values()]
    return [_flat(one.outreach, arm.model_dump()) for one in counted for arm in one.figures]


def _flat(outreach: str, arm: dict[str, Any]) -> dict[str, Any]:
    sums = {name: value for name, value in arm.items() if isinstance(value, dict)}
    flat = {name: value for name, value in arm.items() if name not in sums}
    for name, one in sums.items():
        of = ("y", "yy") if name == "resolution" else ("y", "yy", "x", "xx", "xy")
        flat |= {f"{name}_{which}": one[which] for which in of}
    return {"outreach": outreach, **flat}


def _sorted(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [{k: v if isinstance(v, str | bool) else float(v) for k, v in one.items()} for one in found]
    return sorted(plain, key=lambda one: (one["outreach"], one["arm"], one["share"]))


def _timed(what: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = what()
    return time.perf_counter() - begun, found


def test_windows_hold_what_duckdb_counts_and_close_in_at_most_twice_its_time(
    database: Database, other: duckdb.DuckDBPyConnection, figure: Figure
) -> None:
    outreaches = [row[0] for row in other.execute("SELECT id FROM outreaches ORDER BY id").fetchall()]
    times: dict[str, list[float]] = {"postgresql": [], "duckdb": []}
    for _ in range(ROUNDS):
        took, theirs = _timed(lambda: rows(other, FIGURES))
        times["duckdb"].append(took)
        took, ours = _timed(lambda: _all(database, outreaches))
        times["postgresql"].append(took)
        assert _sorted(ours) == _sorted(theirs)
    mine, duck = (statistics.median(times[name]) for name in ("postgresql", "duckdb"))
    ratios = [a / b for a, b in zip(times["postgresql"], times["duckdb"], strict=True)]
    ratio = statistics.median(ratios)
    contacts = other.execute("SELECT count(*) FROM contacts").fetchall()[0][0]
    figure(
        f"scale: windows of {RECIPIENTS:,} recipients in {len(outreaches)} outreaches, {contacts:,} contacts, closed in"
        f" {mine:.2f} s by PostgreSQL and {duck:.2f} s by DuckDB: {ratio:.2f} times (median of {ROUNDS} interleaved)"
    )
    if RECIPIENTS >= 1_000_000:
        assert ratio <= 2.0, ratios


def test_every_account_of_a_sample_is_as_duckdb_has_it(
    database: Database, other: duckdb.DuckDBPyConnection, figure: Figure
) -> None:
    names = other.execute("SELECT id FROM outreaches ORDER BY hash(id) LIMIT 4").fetchall()
    compared = 0
    theirs: dict[str, dict[str, Any]] = {name: {} for (name,) in names}
    for one in rows(other, f"SELECT * FROM ({ACCOUNTS}) WHERE outreach IN (SELECT unnest(?))", list(theirs)):
        theirs[one["outreach"]][one.pop("account")] = one
    reasons = dict(other.execute("SELECT id, reason_code FROM outreaches").fetchall())
    for outreach, expected in theirs.items():
        beside = [name for name, reason in reasons.items() if reason == reasons[outreach] and name != outreach]
        with database.read() as session:
            found = [
                dict(one) for one in session.execute(accounts([outreach], [outreach, *beside], sqlite=False)).mappings()
            ]
        assert len(found) == len(expected) > 0
        for one in found:
            wanted = expected[one["account"]]
            assert {name: one[name] or 0 for name in wanted} == wanted
            compared += 1
    figure(f"scale: {compared:,} accounts of {len(names)} outreaches compared row by row, all equal")


def test_closing_one_outreach_among_all_takes_a_fraction_of_a_second(
    database: Database, other: duckdb.DuckDBPyConnection, figure: Figure
) -> None:
    windows = Windows(database)
    names = [row[0] for row in other.execute("SELECT id FROM outreaches ORDER BY hash(id) LIMIT 7").fetchall()]
    times = [_timed(lambda name=name: windows.count(name))[0] for name in names]  # type: ignore[misc]
    size = RECIPIENTS // len(other.execute("SELECT id FROM outreaches").fetchall())
    figure(f"scale: one outreach of {size:,} recipients among them closed in {statistics.median(times):.2f} s (median)")
    assert min(times) < 1.0
