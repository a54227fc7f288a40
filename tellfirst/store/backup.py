"""Backups: a copy of the database while others work on it, and an audit entry after it by which a copy is known."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

from tellfirst.errors import SourceError
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database


class Backups:
    """Copies the database."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def copy(self, file: Path, *, by: str, at: datetime) -> None:
        """Writes a copy of the database as it is at `at` or after: a SQLite file, or what pg_restore reads.

        The audit log tells of it once it is made, so that its anchor knows more than any copy. Raises SourceError.
        """
        try:
            if self._database.is_sqlite:
                self._sqlite(file)
            else:
                self._postgresql(file)
        except (OSError, sqlite3.Error, subprocess.CalledProcessError) as error:
            raise SourceError(
                f"the database cannot be copied ({type(error).__name__})",
                where=str(file),
                remedy="check that there is room and a right to write",
            ) from None
        self._chain.append(Entry(kind="backup", about="database", actor=by, at=at))

    def _sqlite(self, file: Path) -> None:
        source = self._database.engine.raw_connection()
        try:
            with closing(sqlite3.connect(file)) as copy:
                source.driver_connection.backup(copy)  # type: ignore[union-attr]
        finally:
            source.close()
        file.chmod(0o600)

    def _postgresql(self, file: Path) -> None:
        if (tool := shutil.which("pg_dump")) is None:
            raise SourceError("pg_dump is not here", remedy="install PostgreSQL's client programs, or put them on PATH")
        url = self._database.engine.url
        target = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
        secret = {"PGPASSWORD": url.password} if url.password else {}
        command = [tool, "--format=custom", "--file", str(file), "--dbname", target]
        # Not among its words: every process may read those.
        subprocess.run(command, check=True, env=secret)
