"""The engine: SQLite and PostgreSQL through the same classes, transactions that say whether they write."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import DateTime, Dialect, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError as DatabaseError
from sqlmodel import Session

from tellfirst.errors import SettingsError

__all__ = ["Database", "DatabaseError", "Instant", "open_engine"]

BUSY_TIMEOUT_MS = 10_000


def _written(value: Any) -> str:
    return to_json(value).decode()


_ALWAYS: dict[str, Any] = {
    # Facts are written and read once a row: three times as fast as the standard library does it.
    "json_serializer": _written,
    "json_deserializer": from_json,
    # An error would tell the values of its statement, and so of a customer.
    "hide_parameters": True,
}


class Instant(TypeDecorator[datetime]):
    """Stores an aware instant as UTC and returns it aware, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses a naive instant: it would mean a different moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive instant may not be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Returns the instant aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str) -> Engine:
    """Returns an engine for `sqlite:///path` or `postgresql://…`; raises SettingsError for anything else."""
    try:
        parsed = make_url(url)
    except Exception as error:
        raise SettingsError("the database URL cannot be read", where="TELLFIRST_DATABASE_URL") from error
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=10, max_overflow=20, pool_pre_ping=True, **_ALWAYS
        )
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SettingsError(
            "the database must be a SQLite file or PostgreSQL",
            where="TELLFIRST_DATABASE_URL",
            remedy="use sqlite:///path/to/file.db or postgresql://…",
        )
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    # SQLAlchemy's own pool of 5 + 10 would let slow pages starve a pause; connections to a file are cheap.
    waiting = {"timeout": BUSY_TIMEOUT_MS / 1000}
    engine = create_engine(parsed, pool_size=10, max_overflow=20, connect_args=waiting, **_ALWAYS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own; _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # A deferred transaction that turns into a writer fails at once, whatever the busy timeout: say it beforehand.
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # This cannot fail; through SQLAlchemy it takes as long as the query behind it.
        connection.connection.driver_connection.execute("BEGIN")


class Database:
    """Opens transactions: `read` sees one snapshot, `write` commits at its end or rolls back whole.

    `anchor` is the file outside the database that the audit log is anchored to.
    """

    def __init__(self, engine: Engine, *, anchor: Path | None = None) -> None:
        self.engine, self.anchor = engine, anchor
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer at a time, and whoever finds it taken sleeps up to 0.1 s before looking again. The
        # threads of one process wait for each other here instead, and go on the moment that the one before is done.
        self._turn: AbstractContextManager[object] = RLock() if self.is_sqlite else nullcontext()
        self._writer = engine.execution_options(writes=True)
        # SQLite's transactions are snapshots anyway; PostgreSQL's default sees other commits between two statements.
        snapshot: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = engine if self.is_sqlite else engine.execution_options(**snapshot)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yields a session for reading; nothing is committed."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yields a session whose work is committed when the block ends well."""
        with self._turn, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Closes all pooled connections."""
        self.engine.dispose()
