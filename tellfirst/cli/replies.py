"""`tellfirst replies` and `tellfirst holds`: what customers wrote back, and who is held until a person has looked."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.output import Json, counted, print_json, print_table, say, when
from tellfirst.cli.screen import REPLIES
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import opened, whoever
from tellfirst.errors import InputError, NotFoundError
from tellfirst.settings import Settings
from tellfirst.signing.trail import Entry
from tellfirst.store.replies import ReplyRecord

NEEDS = {"doubt": "may be an opt-out", "person": "asks for a person"}
"""Why a person is to hear of a reply; that it is angry its tone says."""

holds = typer.Typer(
    help="Customers held until somebody has looked.",
    no_args_is_help=False,
    invoke_without_command=True,
)


def replies(
    outreach: Annotated[
        str, typer.Argument(metavar="[OUTREACH]", help="The name of an outreach; default what answers none of ours.")
    ] = "",
    text: Annotated[bool, typer.Option("--text", help="Show what they wrote; that you looked is recorded.")] = False,
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """List what customers wrote back to an outreach.

    Their words are kept for TELLFIRST_REPLY_DAYS and shown with --text alone.
    """
    settings = Settings.load()
    with opened(settings) as here:
        if outreach:
            here.outreach(outreach)
        found = here.replies.of(outreach or None)
        if text and found:
            # First, so that nobody is shown what is not written down.
            entry = Entry(
                kind="replies_shown", about=outreach or "replies", actor=whoever(by, settings), at=datetime.now(UTC)
            )
            here.chain.append(entry)
    if as_json:
        hidden = set() if text else {"text"}
        print_json([one.model_dump(mode="json", exclude=hidden) for one in found])
        return
    if not found:
        say("nobody wrote back" if outreach else "every reply answers one of our messages")
        return
    rows = [
        (when(one.received_at.replace(microsecond=0)), one.customer or "unknown", one.channel, called(one), one.id)
        for one in found
    ]
    if not text:
        print_table(("when", "customer", "by", "what", "reply"), rows)
        say(f"{counted(len(found), 'reply', 'replies')}; --text shows what they wrote")
        return
    for one, row in zip(found, rows, strict=True):
        say("  ".join(row))
        for line in one.text.splitlines() or ["(not kept any more)"]:
            say(f"    {line}")


def called(reply: ReplyRecord) -> str:
    """Returns for people what a reply is."""
    kind = REPLIES.get(reply.kind) or REPLIES.get(reply.tone, reply.tone)
    return ", ".join(filter(None, [kind, NEEDS.get(reply.need, "")]))


@holds.callback()
def list_holds(context: typer.Context, as_json: Annotated[bool, Json] = False) -> None:
    """List who may have opted out, the longest first; nothing leaves to them."""
    if context.invoked_subcommand is not None:
        return
    with opened() as here:
        found = here.consents.holds()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("nobody is held")
        return
    rows = [(one.customer, when(one.since.replace(microsecond=0)), one.outreach or "-", one.reply) for one in found]
    print_table(("customer", "since", "answers", "reply"), rows)
    say("read it with: tellfirst replies OUTREACH --text")
    say("then say what they meant: tellfirst holds end CUSTOMER --opt-out, or --no-opt-out")


@holds.command("end")
def end_hold(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer, as `tellfirst holds` lists them.")],
    opt_out: Annotated[
        bool | None,
        typer.Option("--opt-out/--no-opt-out", help="Whether they meant to opt out.", show_default=False),
    ] = None,
    by: By = "",
) -> None:
    """Say what a customer meant who was held.

    Either they opt out, or they may be written to again.
    """
    if opt_out is None:
        raise InputError("say what they meant", remedy="give --opt-out or --no-opt-out")
    settings = Settings.load()
    with opened(settings) as here:
        who, now = whoever(by, settings), datetime.now(UTC)
        found = here.consents.end_hold(customer, opt_out=opt_out, by=who, at=now)
        if not found:
            raise NotFoundError("that customer is not held", where=customer, remedy="see `tellfirst holds`")
        for reply in found:  # it names them, and can be forgotten; the log cannot
            here.chain.append(Entry(kind="hold_ended", about=reply, actor=who, at=now, facts={"opt_out": opt_out}))
    say("recorded as an opt-out: they get nothing any more" if opt_out else "they may be written to again")
