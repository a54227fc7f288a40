"""`customers merge`: two accounts that turned out to be one."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.output import Json, counted, print_json, say
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import opened, whoever

Account = "An account (cluster), or a customer of it."


def merge(
    old: Annotated[str, typer.Argument(metavar="OLD", help=f"{Account} It goes.")],
    into: Annotated[str, typer.Argument(metavar="INTO", help=f"{Account} It stays.")],
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Make one account of two.

    Customers and contacts of the old account count for the other from now on, and are randomised with it. Who was
    randomised already stays in the arm that was drawn first.
    """
    with opened() as here:
        done = here.accounts.merge(old, into, by=whoever(by, here.settings), now=datetime.now(UTC))
    if as_json:
        print_json({"merged": done is not None, **(done.model_dump() if done else {"customers": 0, "contacts": 0})})
    elif done is None:
        say("they are one account already")
    else:
        say(f"merged: {counted(done.customers, 'customer')} and {counted(done.contacts, 'contact')} went over")
