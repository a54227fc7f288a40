"""`pause`, `resume`, `abort`, `ack`, `stuck`: people steer what runs, and see what waits for them too long."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecution

from tellfirst import contract
from tellfirst.cli.arguments import Outreach, Reason, read_reason
from tellfirst.cli.decide import Key, Yes
from tellfirst.cli.output import Json, counted, note, print_json, print_table, say, when
from tellfirst.cli.resume_all import resume_all
from tellfirst.cli.wiring import on_temporal, opened, whoever, with_outreaches
from tellfirst.contract import Stage
from tellfirst.domain.base import Frozen
from tellfirst.errors import InputError
from tellfirst.settings import Settings

NameOrAll = Annotated[str, typer.Argument(metavar="[OUTREACH]", help="The name of an outreach; or give --all.")]
By = Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")]

SEEN_WITHIN = timedelta(minutes=2)
PLANNED_WITHIN = timedelta(minutes=15)
"""Planning takes seconds, for a large audience minutes: after that it waits for a worker or for a table."""

WHAT_TO_DO = {
    "approval_overdue": "tellfirst show, then approve or reject",
    "awaiting_approval": "tellfirst show, then approve or reject",
    "needs_attention": "tellfirst show; mend it, then resume or abort",
    "escalated": "tellfirst show; somebody is on it, or tellfirst ack",
}


class Stuck(Frozen):
    """Is one outreach that waits longer than it should."""

    outreach: str
    stage: str
    waiting_on: str
    since: datetime | None
    deadline: datetime | None
    problem: str
    what_to_do: str


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
            pause = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
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


def ack(outreach: Outreach, by: By = "") -> None:
    """Say that you are on it.

    An outreach that needs attention is then not escalated further.
    """
    who = whoever(by, Settings.load())
    with_outreaches(lambda client: client.tell(outreach, "escalation_acknowledged", by=who))
    say(f"{outreach}: acknowledged by {who}")


def stuck(as_json: Annotated[bool, Json] = False) -> None:
    """List what waits longer than it should.

    On people, past a deadline with no worker alive, for a worker to plan it, or on a failing task.
    """

    async def look(client: Client) -> tuple[list[Stuck], bool]:
        now = datetime.now(UTC)
        return await find_stuck(client, now), await worker_polls(client, now)

    found, working = on_temporal(look)
    if not working:
        note("no worker has asked Temporal for work in the last two minutes; start one: python -m workers")
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("nothing is stuck")
        return
    rows = [
        (one.outreach, one.problem or one.stage, one.waiting_on, when(one.since), when(one.deadline), one.what_to_do)
        for one in found
    ]
    print_table(("outreach", "stage", "waiting on", "since", "deadline", "what to do"), rows)
    say(f"{counted(len(found), 'outreach', 'outreaches')} stuck")


async def worker_polls(client: Client, now: datetime) -> bool:
    """Returns whether any worker was seen on the queue of outreaches lately; a long poll lasts about a minute."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=contract.QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return any(poller.last_access_time.ToDatetime(tzinfo=UTC) >= now - SEEN_WITHIN for poller in answer.pollers)


async def find_stuck(client: Client, now: datetime) -> list[Stuck]:
    """Returns what waits for a person too long, what no worker moved or planned in time, and what fails."""
    running = f"WorkflowType='{contract.OUTREACH}' AND ExecutionStatus='Running'"
    past = f"{running} AND {contract.DEADLINE.name} < '{now.isoformat(timespec='seconds')}'"
    since = (now - PLANNED_WITHIN).isoformat(timespec="seconds")
    stage = contract.STAGE.name
    unplanned = f"{running} AND ({stage} IS NULL OR {stage} = '{Stage.PLANNING}') AND StartTime < '{since}'"
    failing = f"{running} AND TemporalReportedProblems IS NOT NULL"
    found: dict[str, Stuck] = {}
    for query, problem in (
        (contract.STUCK, ""),
        (past, "deadline passed"),
        (failing, "its tasks fail"),
        (unplanned, "not planned"),
    ):
        async for execution in _listed(client, query):
            found.setdefault(execution.id, _stuck(execution, problem))
    return sorted(found.values(), key=lambda one: (one.deadline or one.since or now, one.outreach))


async def _listed(client: Client, query: str) -> AsyncIterator[WorkflowExecution]:
    # A workflow that Temporal itself paused has a status the SDK cannot read; every query asks for running ones.
    async for execution in client.list_workflows(query):
        yield execution


def _stuck(execution: WorkflowExecution, problem: str) -> Stuck:
    attributes = execution.typed_search_attributes
    stage = attributes.get(contract.STAGE) or ""
    waiting_on = attributes.get(contract.WAITING_ON) or ""
    advice = {
        "deadline passed": "check that workers run: python -m workers",
        "not planned": "check that workers run; else the Temporal UI shows what its planning fails on",
        "its tasks fail": "look at the failing task in the Temporal UI",
    }
    return Stuck(
        outreach=execution.id,
        stage=stage,
        waiting_on="" if waiting_on == "nobody" else waiting_on,
        since=execution.start_time,
        deadline=attributes.get(contract.DEADLINE),
        problem=problem,
        what_to_do=advice.get(problem) or WHAT_TO_DO.get(stage, "tellfirst show"),
    )


def _one_or_all(outreach: str, *, everything: bool) -> bool:
    if bool(outreach) == everything:
        raise InputError(
            "name one outreach, or give --all", remedy="`tellfirst pending` and `tellfirst stuck` list them"
        )
    return bool(outreach)
