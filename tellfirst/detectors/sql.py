"""The SQL detector: runs a playbook's rule on an operational database, read-only, bounded in rows and time."""

import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import BindParameter, Connection, Engine, NullPool, TextClause, bindparam, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from tellfirst.detectors.finding import Finding, check_columns, read_row
from tellfirst.detectors.parameters import resolve_parameters
from tellfirst.domain.condition import FactValue
from tellfirst.errors import InputError, SourceError
from tellfirst.playbooks.schema import AudienceQuery, Detector

__all__ = ["Finding", "SqlSource", "resolve_parameters"]

STILL_CHUNK = 500
AUDIENCE_LIMIT = 1_000_000
AUDIENCE_TIMEOUT = timedelta(minutes=5)

Dialect = Literal["sqlite", "postgresql"]

_DIALECTS = {"sqlite": ("sqlite", "sqlite+pysqlite"), "postgresql": ("postgresql", "postgresql+psycopg")}
_TICKS = 1_000
# `:at::timestamptz` is how people write it; the binding wants a gap.
_CAST = re.compile(r"(?<![:\w\\]):([a-z]\w*)(?=::)")
# What these say names tables and columns of the rule; other messages of a driver may quote values of customers.
_PLAIN_SQLITE = (
    "no such ",
    "near ",
    "file is not a database",
    "unable to open",
    "database is locked",
    "attempt to write",
)
_PLAIN_POSTGRESQL = ("42", "25006", "3D000", "28")


class SqlSource:
    """Is a read-only connection to an operational database, for use in a `with` statement.

    `url` is `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://…` or `postgresql+psycopg://…`. Nothing
    can be written through it: SQLite opens the file read-only, PostgreSQL runs every transaction READ ONLY. Raises
    SourceError when the source cannot be read; no error contains a password or a value of a row.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.dialect = self._url.get_backend_name()
        self.where = _shown(self._url)
        self._engine: Engine | None = None
        self._open: Connection | None = None
        self._deadline = float("inf")

    def __enter__(self) -> Self:
        """Connects; raises SourceError when the source cannot be reached."""
        self._engine = self._sqlite_engine() if self.dialect == "sqlite" else self._postgresql_engine()
        try:
            with self._translated(timedelta(seconds=10)):
                self._open = self._engine.connect()
        except SourceError:
            self._engine.dispose()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects."""
        if self._open is not None:
            self._open.close()
        if self._engine is not None:
            self._engine.dispose()
        self._open = self._engine = None

    def sweep(self, detector: Detector, *, at: datetime, parameters: Mapping[str, FactValue]) -> list[Finding]:
        """Returns all that the rule finds at the instant `at` (aware, whole seconds), each subject once.

        `parameters` are typed values, see `resolve_parameters`. Raises SourceError beyond `detector.row_limit` rows or
        `detector.timeout`, and when the rule breaks the contract of its columns.
        """
        values = {**_bound(at, parameters), "_limit": detector.row_limit + 1}
        found = list(self._findings(text(self._around(detector.sql, "LIMIT :_limit")), values, detector.timeout))
        if len(found) > detector.row_limit:
            raise SourceError(
                f"the rule finds more than {detector.row_limit} subjects",
                where=self.where,
                remedy="narrow the rule, or raise 'row_limit' in its playbook",
            )
        if len({finding.subject_key for finding in found}) < len(found):
            raise SourceError(
                "the rule finds a subject twice", where=self.where, remedy="a rule must yield each subject_key once"
            )
        return found

    def still(
        self, detector: Detector, keys: Sequence[str], *, at: datetime, parameters: Mapping[str, FactValue]
    ) -> dict[str, Finding]:
        """Returns those of the subjects `keys` that the rule still finds at the instant `at`, by subject key."""
        # In text on both sides, so that integer and UUID keys compare too.
        chosen: BindParameter[str] = bindparam("_keys", expanding=True)
        sql = text(self._around(detector.sql, "WHERE CAST(subject_key AS TEXT) IN :_keys")).bindparams(chosen)
        found: dict[str, Finding] = {}
        for start in range(0, len(keys), STILL_CHUNK):
            values = {**_bound(at, parameters), "_keys": list(keys[start : start + STILL_CHUNK])}
            found.update((finding.subject_key, finding) for finding in self._findings(sql, values, detector.timeout))
        return found

    def audience(
        self,
        query: AudienceQuery,
        *,
        parameters: Mapping[str, FactValue],
        at: datetime,
        chunk: int = 5_000,
        timeout: timedelta = AUDIENCE_TIMEOUT,
    ) -> Iterator[list[Finding]]:
        """Streams the audience in lists of at most `chunk` findings; `timeout` bounds each list.

        All lists show one snapshot. That a subject stands in two lists is not noticed here. Raises SourceError beyond
        `AUDIENCE_LIMIT` rows.
        """
        values = {**_bound(at, parameters), "_limit": AUDIENCE_LIMIT + 1}
        sql = text(self._around(query.sql, "LIMIT :_limit"))
        page: list[Finding] = []
        for number, finding in enumerate(self._findings(sql, values, timeout, stream=chunk), start=1):
            if number > AUDIENCE_LIMIT:
                raise SourceError(
                    f"the audience has more than {AUDIENCE_LIMIT} subjects", where=self.where, remedy="split the query"
                )
            page.append(finding)
            if len(page) == chunk:
                yield page
                page = []
        if page:
            yield page

    def _around(self, sql: Mapping[Dialect, str], tail: str) -> str:
        """Returns the rule as a subquery beside a bound value of ours.

        So it can only be one SELECT: with a bound value a server takes a single statement, and a comment at its end
        cannot swallow what follows.
        """
        rule = next((rule for dialect, rule in sql.items() if dialect == self.dialect), None)
        if rule is None:
            raise SourceError(
                f"the rule has no SQL for {self.dialect}", where=self.where, remedy=f"add '{self.dialect}' to its sql"
            )
        rule = _CAST.sub(r":\1 ", rule).strip().rstrip(";")
        return f"SELECT * FROM (\n{rule}\n) AS found {tail}"  # noqa: S608 - the rule is no input

    def _findings(
        self, statement: TextClause, values: Mapping[str, object], timeout: timedelta, *, stream: int = 0
    ) -> Iterator[Finding]:
        """Yields the findings of one read-only transaction; `stream` > 0 reads that many rows at a time."""
        with self._translated(timeout), self._connection.begin():
            self._limit_time(timeout)
            options = {"yield_per": stream} if stream else {}
            with self._connection.execute(
                statement, self._used(statement, values), execution_options=options
            ) as result:
                check_columns(tuple(result.keys()))
                for number, row in enumerate(result.mappings(), start=1):
                    yield read_row({str(name): value for name, value in row.items()})
                    if stream and number % stream == 0:
                        self._deadline = time.monotonic() + timeout.total_seconds()

    @property
    def _connection(self) -> Connection:
        if self._open is None:
            raise RuntimeError("use SqlSource in a with statement")
        return self._open

    def _used(self, statement: TextClause, values: Mapping[str, object]) -> dict[str, object]:
        names = list(statement.compile().params)
        unknown = [name for name in names if name not in values]
        if unknown:
            raise SourceError(
                f"the rule binds ':{unknown[0]}'",
                where=self.where,
                remedy="it may bind ':at' and its declared parameters",
            )
        return {name: values[name] for name in names}

    def _sqlite_engine(self) -> Engine:
        path = Path(self._url.database or "").absolute()
        if not path.is_file():
            raise SourceError(
                "there is no such database file", where=self.where, remedy="check the path of the source URL"
            )

        def connect() -> sqlite3.Connection:
            # A read-only URI neither creates nor changes the file; the pragma holds for attached databases too.
            raw = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
            raw.execute("PRAGMA query_only = ON")
            raw.set_progress_handler(lambda: time.monotonic() > self._deadline, _TICKS)
            return raw

        return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    def _postgresql_engine(self) -> Engine:
        return create_engine(
            self._url.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": 10},
            execution_options={"postgresql_readonly": True},
            poolclass=NullPool,
            hide_parameters=True,
        )

    def _limit_time(self, timeout: timedelta) -> None:
        milliseconds = max(1, int(timeout.total_seconds() * 1000))
        if self.dialect == "sqlite":
            self._connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")
            self._deadline = time.monotonic() + milliseconds / 1000
            return
        # Local to the transaction, so that it also holds behind a connection pooler.
        self._connection.execute(
            text("SELECT set_config('statement_timeout', :timeout, true), set_config('TimeZone', 'UTC', true)"),
            {"timeout": str(milliseconds)},
        )

    @contextmanager
    def _translated(self, timeout: timedelta) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            raise SourceError(error.what, where=self.where, remedy=error.remedy) from None
        except (SQLAlchemyError, OverflowError) as error:
            # `from None`: the driver's message may quote rows or the URL.
            raise _told(error, self.where, timeout) from None
        finally:
            self._deadline = float("inf")


def _parse(url: str) -> URL:
    remedy = "write sqlite:///file.db or postgresql://user@host/database"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError("the source URL cannot be read", remedy=remedy) from None
    backend = parsed.drivername.partition("+")[0]
    if parsed.drivername not in _DIALECTS.get(backend, ()):
        raise InputError(f"a source of kind '{parsed.drivername}' cannot be read", remedy=remedy)
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError("the source URL names no database file", remedy=remedy)
    return parsed


def _shown(url: URL) -> str:
    """Returns what an error may show of `url`: neither user nor password nor options."""
    if url.get_backend_name() == "sqlite":
        return f"source {url.database}"
    return f"source {url.host or 'local'}/{url.database or ''}"


def _bound(at: datetime, parameters: Mapping[str, FactValue]) -> dict[str, object]:
    if at.tzinfo is None:
        raise ValueError("the instant of a sweep must be aware")
    return {**parameters, "at": at.astimezone(UTC).isoformat(timespec="seconds")}


def _told(error: Exception, where: str, timeout: timedelta) -> SourceError:
    """Returns the error to show for a driver's error: its kind, and its text only where that names no data."""
    cause: object = error.orig if isinstance(error, DBAPIError) else error
    code = str(getattr(cause, "sqlstate", None) or "")
    if code == "57014" or getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return SourceError(
            f"the rule took longer than {timeout.total_seconds():g} seconds",
            where=where,
            remedy="add an index, narrow the rule, or raise 'timeout' in its playbook",
        )
    if code:
        primary = str(getattr(getattr(cause, "diag", None), "message_primary", "") or "")
        plain = primary if code.startswith(_PLAIN_POSTGRESQL) else ""
        return SourceError(f"the database answers {plain or 'with an error'} (SQLSTATE {code})", where=where)
    message = str(cause)
    if isinstance(cause, sqlite3.Error) and message.startswith(_PLAIN_SQLITE):
        return SourceError(f"the database answers {message}", where=where)
    return SourceError(
        f"the source cannot be read ({type(cause).__name__})",
        where=where,
        remedy="check its address, its credentials and that it runs",
    )
