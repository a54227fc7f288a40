"""`detect` and `start`: conditions found in operational data, or given by hand, become outreaches."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from tellfirst import contract
from tellfirst.cli.instants import read_instant
from tellfirst.cli.library_change import may_send
from tellfirst.cli.output import Json, counted, print_json, print_table, progress, say, when
from tellfirst.cli.owners import known_person
from tellfirst.cli.wiring import find_playbook, on_temporal, opened, read_library
from tellfirst.client import OutreachClient
from tellfirst.detectors.sql import SqlSource
from tellfirst.detectors.sweep import Sweep, sweep
from tellfirst.domain.condition import Condition, personal_pattern
from tellfirst.errors import ConditionError, InputError, NotFoundError, RefusedError
from tellfirst.settings import Settings

By = Annotated[
    str, typer.Option("--as", metavar="PRINCIPAL", help="Who asks for it; they do not count among its approvers.")
]


def detect(
    trigger: Annotated[str, typer.Argument(help="The playbook whose rule is run.")],
    source_url: Annotated[
        str, typer.Option(metavar="URL", help="The operational database, only read; default TELLFIRST_SOURCE_URL.")
    ] = "",
    at: Annotated[
        str, typer.Option(metavar="ISO8601", help="The instant to look at; without a zone UTC; default now.")
    ] = "",
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the rule; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look: admit nothing, start nothing.")] = False,
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Run a playbook's rule once and start what it found.

    Each affected thing is admitted once; an outreach is started for each condition.
    """
    settings = Settings.load()
    loaded = find_playbook(read_library(settings), trigger)
    playbook = loaded.playbook
    instant = read_instant(at, "--at") if at else datetime.now(UTC).replace(microsecond=0)
    known_person(by, settings)
    url = source_url or settings.source_url
    if not url:
        raise InputError("there is no operational source", remedy="give --source-url or set TELLFIRST_SOURCE_URL")
    parameters = _parameters(given or [])
    with opened(settings) as here:
        if not dry_run and not may_send(here, loaded):
            raise RefusedError(
                "this version of the playbook may not send here, so nobody is admitted",
                where=trigger,
                remedy="`tellfirst playbooks history` tells how it stands; --dry-run only looks",
            )

        def look() -> Sweep:
            with SqlSource(url) as source, progress("sweeping", None):
                return sweep(playbook, source, here.admissions, at=instant, given=parameters, dry_run=dry_run)

        async def look_and_start(client: Client) -> Sweep:
            seen, tellfirst = look(), OutreachClient(client)
            changed = here.admissions.changed(trigger, at=instant)
            # What earlier sweeps found and nobody started yet was not asked for by whoever asks for this one.
            new = {(found.key, found.episode) for found in seen.conditions}
            waiting = [condition for condition, _ in here.admissions.waiting(trigger)]
            await start_all(
                tellfirst,
                [
                    _asked_by(one, by) if (one.key, one.episode) in new and one.detected_at == instant else one
                    for one in waiting
                ],
            )
            await tell_all(tellfirst, changed)
            return seen

        # Connected first: nothing is admitted while nothing can be started.
        seen = look() if dry_run else on_temporal(look_and_start)
    if as_json:
        print_json(seen.model_dump(mode="json"))
        return
    say(
        f"{trigger} at {when(instant)}: {counted(seen.subjects, 'subject')}, {seen.new:,} new, "
        f"{seen.too_late:,} of them too late to be told"
    )
    if seen.conditions:
        rows = [(found.key, found.episode, f"{found.subjects:,}") for found in seen.conditions]
        print_table(("condition", "episode", "subjects"), rows, numbers=("episode", "subjects"))
        started = "would be started" if dry_run else "started; see `tellfirst pending`"
        say(f"{counted(len(rows), 'outreach', 'outreaches')} {started}")


async def start_all(client: OutreachClient, conditions: Sequence[Condition]) -> None:
    """Starts the outreaches of conditions; one that is started already stays as it is."""
    with progress("starting", len(conditions)) as step:
        for condition in conditions:
            await client.start(condition)
            step(1)


async def tell_all(client: OutreachClient, outreaches: Sequence[str]) -> None:
    """Tells running outreaches that a sweep saw their condition grow or end; they look for themselves."""
    with progress("telling", len(outreaches)) as step:
        for outreach in outreaches:
            with suppress(NotFoundError):  # it ended meanwhile
                # Under no name: two sweeps in one second may each have seen it grow, and looking costs little.
                await client.tell(outreach, "condition_changed")
            step(1)


def start(
    file: Annotated[str, typer.Argument(metavar="CONDITION.json", help="A condition as JSON; - reads it from stdin.")],
    by: By = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Start the outreach of one condition.

    Started again, there is still only one.
    """
    settings = Settings.load()
    condition = read_condition(file)
    condition = _asked_by(condition, by or condition.proposer or settings.principal)
    known_person(condition.proposer, settings)
    find_playbook(read_library(settings), condition.trigger)

    async def work(client: Client) -> tuple[str, str]:
        id_ = contract.outreach_id(condition.trigger, condition.key, condition.episode)
        before = await _running(client, id_)
        started = await OutreachClient(client).start(condition)
        return started.outreach, "ended before" if started.ended_before else "running already" if before else "started"

    outreach, state = on_temporal(work)
    if as_json:
        print_json({"outreach": outreach, "state": state})
        return
    say(outreach)
    if state == "ended before":
        say("this condition's outreach has ended; a recurrence is a new episode")
    else:
        say(f"{state}; `tellfirst show {outreach}`, or in the Temporal UI: WorkflowId='{outreach}'")


def read_condition(file: str) -> Condition:
    """Returns the condition in a file, or on stdin for `-`; raises ConditionError naming the field, never a value."""
    where = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConditionError(f"cannot be read ({type(error).__name__})", where=where) from None
    try:
        condition = Condition.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _FIELDS)
        said = first["msg"].removeprefix("Value error, ")
        raise ConditionError(
            f"the condition is malformed{f' at {field}' if field else ''}: {said[:1].lower()}{said[1:]}",
            where=where,
            remedy="docs/contract/ holds its JSON schema",
        ) from None
    if kind := personal_pattern(condition.key):
        raise ConditionError(
            f"the condition key looks like {kind}",
            where=where,
            remedy="use an opaque key: it stands in plain text in ids, histories and logs",
        )
    return condition


_FIELDS = {*Condition.model_fields, "customer", "query", "parameters"}
"""Names that may be repeated in an error: an unknown key may hold anything."""


def _asked_by(condition: Condition, by: str) -> Condition:
    if not by:
        return condition
    try:
        return Condition.model_validate({**condition.model_dump(), "proposer": by})
    except ValidationError:
        raise InputError("a principal is a short lower-case name, as in the registry", where="--as") from None


async def _running(client: Client, outreach: str) -> bool:
    try:
        description = await client.get_workflow_handle(outreach).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.status is WorkflowExecutionStatus.RUNNING


def _parameters(given: Sequence[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise InputError("a parameter is given as NAME=VALUE", where="--set")
        parameters[name] = value
    return parameters
