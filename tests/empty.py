"""A migrated database without any row, made once: thousands of tests begin with one."""

import tempfile
from functools import cache
from pathlib import Path

from tellfirst.store.engine import open_engine
from tellfirst.store.migrations import migrate


def place_database(path: Path) -> None:
    """Writes an empty database of the newest version to a file, unless one is there."""
    if not path.exists():
        path.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tellfirst.db")
        engine = open_engine(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()
        return path.read_bytes()
