"""Migrations: what they make is what the classes expect, however often and by however many they are run."""

import os
import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlmodel import SQLModel

from tellfirst.store.engine import open_engine
from tellfirst.store.migrations import config, migrate


@pytest.fixture
def engine(empty_url: str) -> Engine:
    return open_engine(empty_url)


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))


def test_head_is_what_the_tables_say(engine: Engine) -> None:
    assert differences(engine) != []
    migrate(engine)
    assert differences(engine) == []
    engine.dispose()


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    before = sorted(inspect(engine).get_table_names())
    migrate(engine)
    assert sorted(inspect(engine).get_table_names()) == before
    assert differences(engine) == []
    engine.dispose()


def test_downgrade_leaves_nothing_behind(engine: Engine) -> None:
    migrate(engine)
    command.downgrade(config(engine), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert differences(engine) == []
    engine.dispose()


def test_processes_that_start_together_migrate_in_turn(empty_url: str) -> None:
    environment = {**os.environ, "TELLFIRST_DATABASE_URL": empty_url}
    arguments = [sys.executable, "-m", "tellfirst.store", "migrate"]
    started = [
        subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]
    told = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    engine = open_engine(empty_url)
    assert differences(engine) == []
    engine.dispose()
