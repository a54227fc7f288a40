"""`pause`, `resume`, `abort`, `ack`, `escalate`: people steer what runs."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from tellfirst.cli.arguments import Outreach, Reason, read_reason
from tellfirst.cli.decide import Key, Yes
from tellfirst.cli.output import Json, note, say
from tellfirst.cli.paused import name_pause
from tellfirst.cli.resume_all import resume_all
from tellfirst.cli.wiring import opened, whoever, with_outreaches
from tellfirst.domain.condition import personal_pattern
from tellfirst.errors import InputError
from tellfirst.settings import Settings

NameOrAll = Annotated[str, typer.Argument(metavar="[OUTREACH]", help="The name of an outreach; or give --all.")]
By = Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")]


class Kind(StrEnum):
    """What may be raised from outside."""

    RAISED = "raised"
    NEGATIVE_REPLY = "negative_reply"


def pause(
    outreach: NameOrAll = "",
    everything: Annotated[bool, typer.Option("--all", help="Hold every outreach of this installation.")] = False,
    by: By = "",
) -> None:
    """Hold an outreach, or everything.

    The next micro-batch no longer leaves.
    """
    settings = Settings.load()
    who = whoever(by, settings)
    if not _one_or_all(outreach, everything=everything):
        now = datetime.now(UTC)
        with opened(settings) as here:
            before = here.controls.pause()
            pause = name_pause(now)
            try:
                here.controls.pause_all(pause, by=who, at=now)
            finally:
                # It is paused even where that cannot be written into the audit log.
                if (is_on := here.controls.pause()) is not None and is_on.value == pause:
                    say("everything is paused; `tellfirst resume --all`, signed by two people, lets it go on")
        if before is not None:
            note(f"it was paused already, by {before.by}: who has signed that it may go on signs again")
        return
    with_outreaches(lambda client: client.pause(outreach, paused=True, by=who))
    say(f"{outreach} is asked to pause; `tellfirst resume {outreach}` lets it go on")


def resume(
    outreach: NameOrAll = "",
    everything: Annotated[bool, typer.Option("--all", help="Let everything go on; two people sign it.")] = False,
    by: By = "",
    key: Key = None,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Let an outreach go on, or everything.

    With --all, two people sign it with their SSH keys: it goes on with the second signature. --key, --yes and --json
    are for that.
    """
    settings = Settings.load()
    if not _one_or_all(outreach, everything=everything):
        resume_all(settings, key, by, yes=yes, as_json=as_json)
        return
    who = whoever(by, settings)
    with_outreaches(lambda client: client.pause(outreach, paused=False, by=who))
    say(f"{outreach} is asked to go on")


def abort(
    outreach: Outreach,
    reason: Reason,
    by: By = "",
) -> None:
    """End the sending of an outreach for good.

    Whoever was told is still measured.
    """
    why = read_reason(reason, most=500)
    who = whoever(by, Settings.load())
    with_outreaches(lambda client: client.tell(outreach, "abort", by=who, note=why))
    say(f"{outreach} is asked to abort; `tellfirst show {outreach}` tells how it ends")


def ack(
    outreach: Outreach,
    done: Annotated[bool, typer.Option("--done", help="It is settled, where nothing else ends it.")] = False,
    by: By = "",
) -> None:
    """Say that you are on it.

    Nobody else is told of it any more. It also takes the name of an exception or a library change. With --done,
    what was raised from outside and unknown messages are settled; everything else ends with its cause.
    """
    settings = Settings.load()
    who = whoever(by, settings)
    with opened(settings) as here:
        waits = any(one.about == outreach for one in here.escalations.open())
    with_outreaches(lambda client: client.acknowledge(outreach, by=who, done=done))
    if not waits:
        note("nothing of it waited for somebody to be on it; `tellfirst stuck` lists what does")
        raise typer.Exit(1)
    say(f"{outreach}: {'settled' if done else 'acknowledged'} by {who}")


def escalate(
    outreach: Outreach,
    reason: Reason,
    kind: Annotated[Kind, typer.Option("--kind", help="What it is.")] = Kind.RAISED,
    by: By = "",
) -> None:
    """Say that an outreach needs a person.

    It climbs its ladder until somebody acknowledges it. Nothing stops for it; `pause` does that.
    """
    why = read_reason(reason, most=300)
    if address := personal_pattern(why):
        raise InputError(
            f"the reason looks as if it held {address}",
            where="--reason",
            remedy="it is shown and sent to people: name the case by your own reference",
        )
    who = whoever(by, Settings.load())
    with_outreaches(lambda client: client.escalate(outreach, kind.value, by=who, note=why))
    say(f"{outreach} is raised; `tellfirst ack {outreach}` says that you are on it")


def _one_or_all(outreach: str, *, everything: bool) -> bool:
    if bool(outreach) == everything:
        raise InputError(
            "name one outreach, or give --all", remedy="`tellfirst pending` and `tellfirst stuck` list them"
        )
    return bool(outreach)
