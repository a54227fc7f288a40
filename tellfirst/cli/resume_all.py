"""`resume --all`: two people sign that what was paused as a whole goes on."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import typer

from tellfirst.cli.agreement import Agreement, agreement
from tellfirst.cli.decide import REMEDIES as OF_OUTREACHES
from tellfirst.cli.output import confirm, note, print_json, say, when
from tellfirst.cli.ssh_key import choose_key, principal_of
from tellfirst.cli.submitting import submit
from tellfirst.cli.wiring import Installation, opened, with_outreaches
from tellfirst.contract import DecisionAnswer
from tellfirst.errors import InputError, RefusedError, UnreachableError
from tellfirst.settings import Settings
from tellfirst.signing.kinds import Decision, Resume, decide
from tellfirst.signing.rules import resume_rule
from tellfirst.store.controls import Control
from tellfirst.store.matters import PENDING

OPENED_WITHIN = 10.0
"""Seconds in which a worker that runs opens what is to be signed."""
AGAIN = "run `tellfirst resume --all` again: it shows how things stand"
REMEDIES = OF_OUTREACHES | dict.fromkeys(
    ("stale_content", "too_late", "expired", "already_decided", "not_ready"), AGAIN
)


def resume_all(settings: Settings, key: Path | None, principal: str, *, yes: bool, as_json: bool) -> None:
    """Signs that the present pause of everything ends; the second person's signature ends it."""
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal to ask on", remedy="give --yes once you know that it may go on")
    with opened(settings) as here:
        pause = here.controls.pause()
        if pause is None:
            if as_json:
                print_json({"paused": False})
            else:
                say("nothing was paused as a whole")
            return
        path = choose_key(key, settings)
        who = principal_of(path, principal, settings)
        about, proposal = _opened(here, pause)
        stands = agreement(here, proposal, resume_rule())
        if who in stands.approvers:
            raise RefusedError(
                f"{who} has signed already ({len(stands.approvers)} of {stands.needed})",
                remedy="another person runs `tellfirst resume --all`",
            )
        summary = (
            f"resume everything as {who} in environment {proposal.environment}: paused by {pause.by} at "
            f"{when(pause.at)}{f', {stands.words}' if stands.approvers else ''}"
        )
        if yes:
            note(summary)
        else:
            confirm(f"{summary}?")

        def document() -> Decision:
            prior = agreement(here, proposal, resume_rule()).prior(who)
            return decide(proposal, "approve", who, datetime.now(UTC), prior=prior)

        answer, _ = submit(here, about, document, path)
        stands = agreement(here, proposal, resume_rule())
    _tell(answer, stands, proposal, as_json=as_json)


def _opened(here: Installation, pause: Control) -> tuple[str, Resume]:
    about = with_outreaches(lambda client: client.resume_all(pause.value))
    end = time.monotonic() + OPENED_WITHIN
    while time.monotonic() < end:
        record = here.matters.get(about)
        if record is not None and record.status == PENDING and isinstance(record.proposal, Resume):
            if record.proposal.decide_by > datetime.now(UTC):
                return about, record.proposal
        elif here.controls.pause() != pause:
            raise RefusedError("meanwhile the pause has ended, or another began", remedy="`tellfirst show` tells")
        time.sleep(0.1)
    raise UnreachableError(
        "nobody has opened it for signing",
        where=about,
        remedy="check that workers run: python -m workers; then run the same command again",
    )


def _tell(answer: DecisionAnswer, stands: Agreement, proposal: Resume, *, as_json: bool) -> None:
    resumed = answer.accepted and answer.status != PENDING
    if not answer.accepted:
        words = f"refused ({answer.code}): {answer.message}"
        remedy = REMEDIES.get(answer.code, "")
        note(words if ";" in words or not remedy else f"{words}; {remedy}")
    elif resumed:
        words = f"everything goes on: the pause of {when(proposal.paused_at)} is over, signed by "
        words += " and ".join(stands.approvers)
    else:
        words = (
            f"signed by {answer.approver}, {answer.approvals} of {answer.needed}: one more person must sign "
            f"`tellfirst resume --all` until {when(proposal.decide_by)}"
        )
    if as_json:
        print_json({"paused": not resumed, **answer.model_dump(mode="json", exclude={"revision"})})
    elif answer.accepted:
        say(words)
    if not answer.accepted:
        raise typer.Exit(1)
