"""The few statements that SQLite and PostgreSQL spell alike only with care."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from pydantic_core import to_json
from sqlalchemy import ARRAY, JSON, ColumnElement, Integer, Table, Text, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, SQLModel

T = TypeVar("T")

BINDS = 500
"""Values of one IN list: far below SQLite's limit of 32,766 and short enough to plan quickly."""


def table(row: type[SQLModel]) -> Table:
    """Returns the table behind a row class."""
    found: Table = row.__table__  # type: ignore[attr-defined]
    return found


def chunks(values: Iterable[T], size: int = BINDS) -> Iterator[list[T]]:
    """Yields `values` in lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def alone(session: Session, what: str) -> None:
    """Lets one transaction at a time past this point, until it ends; SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))


def alone_each(session: Session, whats: Iterable[str]) -> None:
    """Lets one transaction at a time past each of many points, which all who come pass in one order."""
    if session.get_bind().dialect.name == "postgresql":
        in_order = select(func.unnest(literal(sorted(whats), ARRAY(Text))).label("what")).subquery()
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(in_order.c.what, 0))))


def beside(session: Session, what: str) -> None:
    """Lets any number of transactions past this point, but none while one is `alone` there."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock_shared(func.hashtextextended(what, 0))))


def given(session: Session, values: Mapping[int, str]) -> tuple[ColumnElement[int], ColumnElement[str]]:
    """Returns two columns, key and value, of a table made of `values`: one statement for as many rows as there are.

    One parameter holds them all: a CASE over hundreds is slow to write, and a statement for each row slow to run.
    """
    if session.get_bind().dialect.name == "postgresql":
        pairs = func.json_each_text(literal(dict(values), JSON)).table_valued("key", "value")
    else:
        pairs = func.json_each(literal(dict(values), JSON)).table_valued("key", "value")
    return cast(pairs.c.key, Integer), pairs.c.value


def insert_whole(session: Session, row: type[SQLModel], values: Sequence[dict[str, Any]]) -> None:
    """Inserts rows of text, numbers and facts, none of which is there yet, by one statement with one parameter.

    Over a great audience the parameters of each row take longer than the database does, and with a call for each the
    database gets nothing done beside Python.
    """
    if not values:
        return
    into, names = table(row).name, list(values[0])
    if session.get_bind().dialect.name == "postgresql":
        source = f"json_populate_recordset(NULL::{into}, CAST(:rows AS json))"
        read = ", ".join(f'"{name}"' for name in names)
    else:
        source = "json_each(:rows)"
        read = ", ".join(f"json_extract(value, '$.{name}')" for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    statement = f"INSERT INTO {into} ({columns}) SELECT {read} FROM {source}"  # noqa: S608 - names of our own tables
    session.execute(text(statement), {"rows": to_json(values).decode()})


def insert_new(session: Session, row: type[SQLModel], values: Sequence[dict[str, Any]]) -> int:
    """Inserts what is not there yet and returns how many rows that were; existing rows stay untouched."""
    if not values:
        return 0
    sqlite = session.get_bind().dialect.name == "sqlite"
    insert = insert_sqlite(table(row)) if sqlite else insert_postgresql(table(row))
    # The rows are given beside the statement: written into it they are compiled anew each time, ten times as slow.
    # Without preserve_rowcount the count of an INSERT is -1 on PostgreSQL, which is as good as true.
    statement = insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    made: int = session.execute(statement, values).rowcount  # type: ignore[attr-defined]
    return made
