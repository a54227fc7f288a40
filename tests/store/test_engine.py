"""The engine: instants, whole transactions, and who may write at once."""

import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlmodel import select

from tellfirst.errors import SettingsError
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tellfirst.store.tables import WatermarkRow
from tests.store.make import NOON, at_once


def save(database: Database, source: str, at: datetime) -> None:
    with database.write() as session:
        session.add(WatermarkRow(source=source, at=at))


def sources(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.exec(select(WatermarkRow.source)))


def test_naive_instant_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"):
        save(database, "desk", datetime(2026, 3, 1, 12))  # noqa: DTZ001 - the point of the test
    assert sources(database) == []


def test_an_error_names_nobody(database: Database) -> None:
    with pytest.raises(DBAPIError) as failed, database.read() as session:
        session.connection().execute(text("SELECT nothing FROM customers WHERE id = :id"), {"id": "Marguerite-0815"})
    assert "Marguerite" not in f"{failed.value!r} {failed.value}"


def test_instant_comes_back_aware_and_in_utc(database: Database) -> None:
    save(database, "desk", datetime(2026, 3, 1, 13, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1))))
    with database.read() as session:
        at = session.get_one(WatermarkRow, "desk").at
    assert at == NOON + timedelta(microseconds=123456)
    assert at.utcoffset() == timedelta(0)


def test_instants_compare_as_instants(database: Database) -> None:
    save(database, "desk", NOON)
    with database.read() as session:
        query = select(WatermarkRow.source).where(WatermarkRow.at <= NOON.astimezone(timezone(timedelta(hours=-9))))
        assert session.exec(query).all() == ["desk"]


def test_write_is_rolled_back_whole(database: Database) -> None:
    with suppress(RuntimeError), database.write() as session:
        session.add(WatermarkRow(source="a", at=NOON))
        session.flush()
        raise RuntimeError
    assert sources(database) == []


def test_read_sees_one_snapshot(database: Database) -> None:
    with database.read() as session:
        before = session.exec(select(WatermarkRow.source)).all()
        writer = threading.Thread(target=save, args=(database, "a", NOON))
        writer.start()
        writer.join()
        assert session.exec(select(WatermarkRow.source)).all() == before == []
    assert sources(database) == ["a"]


def test_reading_commits_nothing(database: Database) -> None:
    with suppress(DBAPIError), database.read() as session:
        session.add(WatermarkRow(source="a", at=NOON))
        session.flush()
    assert sources(database) == []


def test_writers_who_read_first_wait_for_each_other(database: Database) -> None:
    both = threading.Barrier(2, timeout=0.5)

    def add(source: str) -> None:
        with database.write() as session:
            session.exec(select(WatermarkRow)).all()
            with suppress(threading.BrokenBarrierError):  # the other one waits for its turn, as it should
                both.wait()
            session.add(WatermarkRow(source=source, at=NOON))

    at_once([lambda: add("a"), lambda: add("b")])
    assert sources(database) == ["a", "b"]


def test_sqlite_is_durable_and_lets_readers_on(tmp_path: Path) -> None:
    database = Database(open_engine(f"sqlite:///{tmp_path / 'new' / 'tellfirst.db'}"))
    with database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    database.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000, "foreign_keys": 1}


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://localhost/x", ""])
def test_bad_url_names_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="TELLFIRST_DATABASE_URL"):
        open_engine(url)


def test_error_about_the_url_does_not_repeat_it() -> None:
    with pytest.raises(SettingsError) as caught:
        open_engine("postgresql://me:hunter2@host:port/x")
    assert "hunter2" not in str(caught.value)


def test_threads_of_one_process_wait_for_their_turn_without_asking_the_file(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'turns.db'}")
    migrate(engine)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=0"))
    engine.dispose()  # whoever finds the file taken now fails at once
    database, begun, failed = Database(engine), threading.Event(), threading.Event()

    def first() -> None:
        with database.write() as session:
            session.add(WatermarkRow(source="a", at=NOON))
            session.flush()
            begun.set()
            failed.wait(0.1)

    def second() -> None:
        try:
            save(database, "b", NOON)
        except DBAPIError:
            failed.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    begun.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert sources(database) == ["a", "b"]
    database.close()
