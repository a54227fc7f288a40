"""Our own database, migrated, on SQLite and on a real PostgreSQL: every test of this folder runs on both."""

import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import QueuePool
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tests.postgres import postgresql_server
from tests.store.desk import Desk

__all__ = ["postgresql_server"]

NUMBERS = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yields the URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tellfirst.db'}"
        return
    yield from _fresh_postgresql(request.getfixturevalue("postgresql_server"))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a migrated file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "tellfirst.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    """Yields the name of a migrated database to copy."""
    for url in _fresh_postgresql(postgresql_server):
        _migrate(url)
        yield make_url(url).database or ""


@pytest.fixture(scope="session")
def one_postgresql(postgresql_server: str, migrated_postgresql: str) -> Iterator[Database]:
    """Yields a migrated database that each test is given empty: making one for each takes far longer."""
    for url in _fresh_postgresql(postgresql_server, migrated_postgresql):
        yield from _opened(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Yields a migrated database without any row."""
    if request.param == "sqlite":
        yield from _copied(request, tmp_path)
        return
    one: Database = request.getfixturevalue("one_postgresql")
    _empty(one)
    yield one
    _closed(one)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Yields one migrated database for all tests of a module."""
    yield from _copied(request, tmp_path_factory.mktemp("shared"))


def _copied(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = folder / "tellfirst.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield from _opened(f"sqlite:///{path}")
    else:
        template = request.getfixturevalue("migrated_postgresql")
        for url in _fresh_postgresql(request.getfixturevalue("postgresql_server"), template):
            yield from _opened(url)


@pytest.fixture
def desk(database: Database) -> Desk:
    """Returns an outreach of six customers on one page."""
    return Desk(database)


@pytest.fixture
def told(desk: Desk) -> Desk:
    """Is a page whose first messages came to every possible end."""
    states = (
        SendState.ACCEPTED,
        SendState.DELIVERED,
        SendState.FAILED,
        SendState.UNKNOWN,
        SendState.UNDELIVERED,
        SendState.INTENT,
    )
    desk.deliver({f"c-{n}": state for n, state in enumerate(states)})
    return desk


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def _opened(url: str) -> Iterator[Database]:
    opened = Database(open_engine(url))
    try:
        yield opened
    finally:
        opened.close()


def _closed(database: Database) -> None:
    """Closes a database once nobody uses it any more: a connection that is out then would never be closed."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    give_up = time.monotonic() + 5
    while pool.checkedout() and time.monotonic() < give_up:
        time.sleep(0.01)  # nothing tells when a thread gives its connection back
    left = pool.checkedout()
    database.close()
    assert not left, f"{left} connections were never given back"


def _empty(database: Database) -> None:
    """Takes out every row, and whatever an earlier test left open."""
    tables = [table.name for table in SQLModel.metadata.sorted_tables]
    filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in tables)
    with database.write() as session:
        connection = session.connection()
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        if names := connection.exec_driver_sql(filled).scalars().all():
            connection.exec_driver_sql(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")


def _fresh_postgresql(server: str, template: str = "template1") -> Iterator[str]:
    name = f"store_{next(NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
