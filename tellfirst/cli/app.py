"""The application: every group of commands under one name, and every error as one sentence with its exit code."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from tellfirst.cli.accounts import accounts
from tellfirst.cli.addenda import correct, update
from tellfirst.cli.backup import backup
from tellfirst.cli.calls import calls
from tellfirst.cli.channels import channels
from tellfirst.cli.contacts import contacts
from tellfirst.cli.decide import approve, reject, request_changes
from tellfirst.cli.detect import detect, start
from tellfirst.cli.estimate import estimate
from tellfirst.cli.events import events
from tellfirst.cli.exceptions import exceptions
from tellfirst.cli.forget import forget
from tellfirst.cli.go_on import continue_
from tellfirst.cli.imports import customers
from tellfirst.cli.keys import keys
from tellfirst.cli.load import load
from tellfirst.cli.merge import merge
from tellfirst.cli.output import fail
from tellfirst.cli.permits import permits
from tellfirst.cli.playbooks import playbooks
from tellfirst.cli.reasons import reasons
from tellfirst.cli.recover import recover
from tellfirst.cli.replies import holds, replies
from tellfirst.cli.report import report
from tellfirst.cli.restart import restart
from tellfirst.cli.show import pending, show
from tellfirst.cli.steer import abort, ack, escalate, pause, resume
from tellfirst.cli.stuck import stuck
from tellfirst.cli.verify import verify
from tellfirst.cli.who import who
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
customers.command()(forget)
customers.command()(merge)
app.add_typer(customers, name="customers")
app.add_typer(contacts, name="contacts")
app.add_typer(accounts, name="accounts")
COMMANDS: tuple[Callable[..., None], ...] = (
    *(detect, start, pending, show, approve, reject, request_changes),
    *(pause, resume, abort, escalate, ack, stuck, report, estimate, verify, events),
    *(who, correct, update, replies, reasons, load, backup, recover, restart),
)
for command in COMMANDS:
    app.command()(command)
app.command("continue")(continue_)
app.add_typer(channels, name="channels")
app.add_typer(playbooks, name="playbooks")
app.add_typer(permits, name="permits")
app.add_typer(exceptions, name="exceptions")
app.add_typer(calls, name="calls")
app.add_typer(holds, name="holds")
app.add_typer(keys, name="keys")
