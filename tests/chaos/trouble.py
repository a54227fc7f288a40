"""Trouble with a database: what workers' connections are told whenever one is used, and what was refused to them."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool


class Trouble:
    """Is a file of statements that all processes of an installation see, and a file of what their databases refused."""

    def __init__(self, folder: Path) -> None:
        self._told, self._refused = folder / "trouble.json", folder / "refused.log"

    def tell(self, *statements: str) -> None:
        """Lets every connection run these statements when it is taken from its pool, until others are told."""
        draft = self._told.with_suffix(".new")
        draft.write_text(json.dumps(statements))
        draft.rename(self._told)

    def refused(self) -> int:
        """Counts the statements and connections that were refused so far."""
        return len(self._refused.read_text().splitlines()) if self._refused.exists() else 0

    def listen(self) -> None:
        """Lets the connections of this process have it."""
        event.listen(Pool, "checkout", self._taken)
        event.listen(Engine, "handle_error", self._failed)

    def _taken(self, connection: Any, _record: object, _proxy: object) -> None:
        for statement in self._statements():
            connection.execute(statement)

    def _statements(self) -> Sequence[str]:
        try:
            told: list[str] = json.loads(self._told.read_text())
        except FileNotFoundError:
            return ()
        return told

    def _failed(self, context: Any) -> None:
        verb = (context.statement or "connect").split()[0]
        self.note(f"{verb}: {type(context.original_exception).__name__} {context.original_exception}")

    def note(self, what: str) -> None:
        """Keeps that something was refused."""
        with self._refused.open("a") as log:
            log.write(f"{os.getpid()} {' '.join(what.split())}\n")
