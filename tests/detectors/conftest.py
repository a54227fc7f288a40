"""An orders table as a shop has it, on SQLite and on a real PostgreSQL."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.postgres import postgresql_server

__all__ = ["Database", "postgresql_server"]

ORDERS = [
    # order_id, customer_id, status, placed_at, promised_at, delivered_at
    ("o-late", "c-1", "shipped", "2026-03-01T10:00:00+00:00", "2026-03-08T00:00:00+00:00", None),
    (
        "o-later-delivered",
        "c-2",
        "delivered",
        "2026-03-01T10:00:00+00:00",
        "2026-03-08T00:00:00+00:00",
        "2026-03-12T09:00:00+00:00",
    ),
    (
        "o-delivered",
        "c-3",
        "delivered",
        "2026-03-01T10:00:00+00:00",
        "2026-03-08T00:00:00+00:00",
        "2026-03-09T23:00:00+00:00",
    ),
    ("o-canceled", "c-4", "canceled", "2026-03-01T10:00:00+00:00", "2026-03-08T00:00:00+00:00", None),
    ("o-at-threshold", "c-5", "shipped", "2026-03-01T10:00:00+00:00", "2026-03-09T00:00:00+00:00", None),
    ("o-one-second-early", "c-6", "shipped", "2026-03-01T10:00:00+00:00", "2026-03-09T00:00:01+00:00", None),
    ("o-not-yet-placed", "c-7", "shipped", "2026-03-10T00:00:01+00:00", "2026-03-08T00:00:00+00:00", None),
]


@dataclass(frozen=True)
class Database:
    """Is one database under test: the URL for the source, and a writer beside it."""

    url: str
    dialect: str

    def write(self, *statements: str) -> None:
        if self.dialect == "sqlite":
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection, connection:
                for statement in statements:
                    connection.execute(statement)
        else:
            with psycopg.connect(self.url) as connection:
                for statement in statements:
                    connection.execute(statement)

    def count(self, table: str) -> int:
        sql = f"SELECT count(*) FROM {table}"
        if self.dialect == "sqlite":
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
                return int(connection.execute(sql).fetchone()[0])
        with psycopg.connect(self.url) as connection:
            row = connection.execute(sql).fetchone()
            assert row is not None
            return int(row[0])


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'shop.db'}", "sqlite")
        instant = "TEXT"
    else:
        made = Database(request.getfixturevalue("postgresql_server"), "postgresql")
        made.write("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        instant = "timestamptz"
    made.write(
        f"CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT, status TEXT,"
        f" placed_at {instant}, promised_at {instant}, delivered_at {instant})"
    )
    values = ", ".join("(" + ", ".join("NULL" if cell is None else f"'{cell}'" for cell in row) + ")" for row in ORDERS)
    made.write(f"INSERT INTO orders VALUES {values}")
    return made
