"""`backup`: a copy of the database, and the instant to give to `recover` when it is restored."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.output import Json, print_json, say
from tellfirst.cli.wiring import opened, whoever
from tellfirst.errors import InputError
from tellfirst.settings import Settings


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; nothing may be there yet.")],
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Copy the database while everything goes on.

    SQLite into a file of its own, PostgreSQL by pg_dump into what pg_restore reads. Keep the secret beside it, and the
    anchor of the audit log elsewhere.
    """
    if file.exists():
        raise InputError("there is a file already", where=str(file))
    settings, now = Settings.load(), datetime.now(UTC).replace(microsecond=0)
    with opened(settings) as here:
        here.backups.copy(file, by=whoever(by, settings), at=now)
    if as_json:
        print_json({"file": str(file), "since": now.isoformat()})
    else:
        say(f"copied to {file}; after restoring it: tellfirst recover --since {now:%Y-%m-%dT%H:%M:%SZ}")
