"""`tellfirst calls`: what a person of ours is to tell accounts of high value, and how it went."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.channels.person import NAME
from tellfirst.cli.output import Json, counted, note, print_json, print_table, put, say, shown, when
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import Installation, opened, whoever
from tellfirst.domain.receipt import Receipt
from tellfirst.errors import InputError, NotFoundError
from tellfirst.settings import Settings
from tellfirst.signing.trail import Entry
from tellfirst.store.call_tasks import CallTask

SHORT = 12
"""Digits of a call's id that lists show; any beginning that only one call has will do."""

calls = typer.Typer(invoke_without_command=True)
Id = Annotated[str, typer.Argument(metavar="CALL", help="The call, as `tellfirst calls` lists it.")]


@calls.callback()
def list_calls(context: typer.Context, as_json: Annotated[bool, Json] = False) -> None:
    """List the calls that people of yours are to make.

    The most pressing comes first; whom to dial and what to say is told by `calls show` alone.
    """
    if context.invoked_subcommand is not None:
        return
    now = datetime.now(UTC)
    with opened() as here:
        waiting = here.call_tasks.open()
    if as_json:
        print_json([_plain(call) for call in waiting])
        return
    if not waiting:
        say("no call is to be made")
        return
    rows = [
        (
            call.id[:SHORT],
            call.customer,
            call.outreach,
            call.step,
            call.locale,
            when(call.asked_at.replace(microsecond=0)),
            f"{when(call.until)}{', too late' if call.until <= now else ''}",
        )
        for call in waiting
    ]
    print_table(("call", "customer", "outreach", "step", "language", "since", "until"), rows)
    say(f"{counted(len(waiting), 'call')} to make; whom and what: tellfirst calls show {waiting[0].id[:SHORT]}")


@calls.command("show")
def show_call(call: Id, by: By = "", as_json: Annotated[bool, Json] = False) -> None:
    """Show whom to call and what to say; that you looked is recorded."""
    settings = Settings.load()
    with opened(settings) as here:
        found = _find(here, call)
        # First, so that nobody is shown what is not written down.
        entry = Entry(kind="call_shown", about=found.id, actor=whoever(by, settings), at=datetime.now(UTC))
        here.chain.append(entry)
    if as_json:
        print_json({**_plain(found), "address": found.address, "script": found.script})
        return
    say(f"call {found.address or 'nobody: there is no number any more'}, customer {found.customer} ({found.locale})")
    say(f"until {when(found.until)}, about {found.outreach}, step '{found.step}'")
    put("", shown(found.script or "what to say is not kept any more"), "")
    if found.done_at is None:
        say(f"then: tellfirst calls done {found.id[:SHORT]} --reached, or --not-reached")
    else:
        say(f"{'reached' if found.reached else 'not reached'} by {found.by}, {when(found.done_at)}")


@calls.command("done")
def finish_call(
    call: Id,
    reached: Annotated[
        bool | None, typer.Option("--reached/--not-reached", help="Whether the customer was told.", show_default=False)
    ] = None,
    by: By = "",
) -> None:
    """Record how a call went.

    Whoever was not reached is told by the next channel that was approved for them, if there is one.
    """
    if reached is None:
        raise InputError("say how it went", remedy="give --reached or --not-reached")
    settings, now = Settings.load(), datetime.now(UTC)
    with opened(settings) as here:
        found = _find(here, call)
        if not here.call_tasks.done(found.id, reached=reached, by=whoever(by, settings), now=now):
            note(f"it was recorded before: {'reached' if found.reached else 'not reached'} by {found.by}")
        # Also where it was: whoever was interrupted in between says it again.
        said = here.call_tasks.standing_of(found.id)
        here.receipts.take(Receipt(provider=NAME, provider_id=found.id, status=said, send=found.id), now=now)
    say("recorded as reached" if said == "reached" else "recorded as not reached; other channels are tried")


def _find(here: Installation, name: str) -> CallTask:
    found = here.call_tasks.named(name) if name else []
    if len(found) != 1:
        raise NotFoundError(
            "several calls begin so" if found else "there is no such call", where=name, remedy="see `tellfirst calls`"
        )
    return found[0]


def _plain(call: CallTask) -> dict[str, object]:
    return call.model_dump(mode="json", exclude={"address", "script", "by", "done_at", "reached"})
