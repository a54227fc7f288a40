"""The application: every group of commands under one name, and every error as one sentence with its exit code."""

from typing import Any

import typer
from typer.core import TyperGroup

from tellfirst.cli import decide, detect, imports, outcomes, playbooks, show, steer, verify
from tellfirst.cli.output import fail
from tellfirst.errors import TellfirstError


class Answering(TyperGroup):
    """Turns the errors that are raised on purpose into a sentence on stderr; others are bugs and keep their traces."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TellfirstError as error:
            raise fail(error) from None


app = typer.Typer(
    cls=Answering,
    help="Tell customers first, keep the promise, prove the effect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(imports.customers, name="customers")
app.add_typer(imports.contacts, name="contacts")
for group in (detect, show, decide, steer, outcomes, verify):
    group.register(app)
app.add_typer(playbooks.playbooks, name="playbooks")
