"""What several commands are given alike: an outreach, a revision, a reason."""

from typing import Annotated

import typer

from tellfirst.errors import InputError

Outreach = Annotated[
    str, typer.Argument(metavar="OUTREACH", help="The name of an outreach, as `pending` and `stuck` list it.")
]
Revision = Annotated[int | None, typer.Option("--revision", help="The plan revision; default the one to decide.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is recorded.")]


def read_reason(text: str, *, most: int) -> str:
    """Returns a reason without the white space around it; raises InputError unless it has 1 to `most` characters."""
    reason = text.strip()
    if not 1 <= len(reason) <= most:
        raise InputError(f"a reason has 1 to {most:,} characters", where="--reason")
    return reason
