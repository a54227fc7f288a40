"""`correct` and `update`: what nobody planned, drafted for those who received a step and decided like the rest."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from tellfirst.cli.arguments import Outreach, Reason, read_reason
from tellfirst.cli.output import Json, counted, note, print_json, say, when
from tellfirst.cli.owners import known_person
from tellfirst.cli.steer import By
from tellfirst.cli.submitting import may_count
from tellfirst.cli.wiring import Installation, opened, whoever, with_outreaches
from tellfirst.contract import Draft, DraftAnswer
from tellfirst.domain.plan import INITIAL
from tellfirst.errors import InputError, RefusedError
from tellfirst.settings import Settings
from tellfirst.store.outreaches import OutreachRecord

Step = Annotated[str, typer.Option("--step", help="The step that was wrong, as `tellfirst show` names it.")]
TextFile = Annotated[
    Path, typer.Option("--text", metavar="FILE", help="TOML with [messages.CHANNEL.LOCALE], in parts as in a playbook.")
]


def correct(
    outreach: Outreach,
    step: Step,
    text: TextFile,
    reason: Reason,
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Draft a correction for exactly those who received a step.

    It is approved and sent as a revision of its own; whoever drafts it does not approve it.
    """
    _draft("correction", outreach, step, text, reason, by, as_json=as_json)


def update(
    outreach: Outreach,
    text: TextFile,
    reason: Reason,
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Draft an update that nobody planned.

    For those who were told and are still affected. It is approved and sent as a revision of its own; whoever drafts
    it does not approve it.
    """
    _draft("free-update", outreach, INITIAL, text, reason, by, as_json=as_json)


def _draft(
    kind: Literal["correction", "free-update"],
    name: str,
    step: str,
    path: Path,
    reason: str,
    by: str,
    *,
    as_json: bool,
) -> None:
    settings, why, text = Settings.load(), read_reason(reason, most=500), _read(path)
    who = whoever(by, settings)
    known_person(who, settings)
    with opened(settings) as here:
        record = here.outreach(name)
        _still_open(record)
        event_id = _event_id(here, name, kind, step, text, why, who)
    draft = Draft(event_id=event_id, kind=kind, step=step, text=text, by=who, note=why)
    with may_count("the draft is not confirmed: you did not wait, and it may still be taken", name):
        answer = with_outreaches(lambda client: client.draft(name, draft))
    if as_json:
        print_json({"outreach": name, **answer.model_dump(mode="json")})
    if not answer.accepted:
        note(f"refused ({answer.code}): {answer.message.replace('the text: ', f'{path}: ', 1)}")
        raise typer.Exit(1)
    if not as_json:
        _tell(name, step, answer)


def _tell(name: str, step: str, answer: DraftAnswer) -> None:
    if not answer.version:
        say(f"{answer.message}; `tellfirst show {name}` tells how it stands")
        return
    say(f"{answer.step} is drafted for {counted(answer.recipients, 'customer')} who received '{step}'")
    say(f"whom it concerns: tellfirst who {name} --step {step}")
    say(f"next, somebody else looks and decides: tellfirst show {name}; tellfirst approve {name}")


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or type(error).__name__}", where=str(path), remedy="check the path"
        ) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=str(path), remedy="save it as UTF-8") from None
    if not 0 < len(text) <= 200_000:
        raise InputError("holds no text, or more than 200,000 characters", where=str(path), remedy="write the messages")
    return text


def _still_open(record: OutreachRecord) -> None:
    if record.closed_at is not None:
        raise RefusedError(
            f"the outreach ended as {record.ending} on {when(record.closed_at)}, so nothing leaves from it any more",
            where=record.id,
            remedy="tell them by an outreach of its own: `tellfirst who` lists them, `tellfirst start` takes them",
        )


def _event_id(here: Installation, *parts: str) -> str:
    # Run again after a time-out it is the same draft; once it was planned, and decided or not, it would be another.
    told = "\0".join([*parts, str(here.outreaches.latest_revision(parts[0]))])
    return hashlib.sha256(told.encode()).hexdigest()[:32]
