"""`customers forget`: what is known of one customer is erased."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.output import Json, confirm, counted, note, print_json, say
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import opened, whoever
from tellfirst.errors import InputError
from tellfirst.settings import Settings


def forget(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id, as it was imported.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")] = False,
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Erase a customer for good.

    Name, addresses, facts and id go; counts, decisions and the audit log stay as they are, and still verify. Nothing
    more is sent to them. An import that names them again makes a new customer.
    """
    settings = Settings.load()
    who = whoever(by, settings)
    if not yes:
        try:
            confirm("Erase this customer for good?")
        except typer.Abort:
            raise InputError("nothing was erased", remedy="answer y, or give --yes") from None
    alias = f"forgotten-{secrets.token_hex(8)}"
    with opened(settings) as here:
        rows = here.erasure.forget(customer, alias, by=who, at=datetime.now(UTC))
    if as_json:
        print_json({"forgotten": alias, "rows": rows})
        return
    say(f"erased; what was measured stays under {alias} ({counted(rows, 'row')} of audiences)")
    note(
        "not erased: Temporal's histories, the provider's and the outbox's messages, signed grants of exceptions, "
        "backups, and your own systems"
    )
