"""`stuck`: what waits for people or workers longer than it should, who is on it, and what to do."""

from collections.abc import AsyncIterator, Container, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, get_args

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecution

from tellfirst import contract
from tellfirst.cli.output import Json, counted, note, print_json, print_table, say, when
from tellfirst.cli.paused import tell_pause
from tellfirst.cli.wiring import on_temporal, opened
from tellfirst.client import OutreachClient
from tellfirst.contract import EscalationKind, Stage
from tellfirst.domain.base import Frozen
from tellfirst.store.escalations import EscalationRecord
from tellfirst.store.outreaches import OutreachRecord

SEEN_WITHIN = timedelta(minutes=2)
PLANNED_WITHIN = timedelta(minutes=15)
"""Planning takes seconds, for a large audience minutes: after that it waits for a worker or for a table."""
LISTED_WITHIN = timedelta(minutes=1)
"""Temporal lists a workflow a moment after it began."""

PRESSING = get_args(EscalationKind)
DECIDE = "tellfirst show, then approve or reject"
WHAT_TO_DO = {"approval_overdue": DECIDE, "awaiting_approval": DECIDE, "needs_attention": "tellfirst show"}
ESCALATED = {
    "attention": "tellfirst show; mend it, then resume or abort",
    "harm": "tellfirst show; then resume, which accepts it, or abort",
    "overdue": DECIDE,
    "promise_at_risk": "tellfirst show; mend it, then resume",
    "negative_reply": "tellfirst replies --text; tellfirst ack --done when it is settled",
    "raised": "tellfirst show; tellfirst ack --done when it is settled",
    "calls_waiting": "tellfirst calls; tellfirst ack --done when they are made",
    "unknown_sends": "tellfirst show; tellfirst ack --done when it is settled",
}
ELSEWHERE = {
    "exception": "tellfirst exceptions show, then approve or deny",
    "library": "tellfirst playbooks diff, then approve or reject",
    "permit": "tellfirst permits show, then approve or reject",
    "resume": "tellfirst resume --all",
}


class Stuck(Frozen):
    """Is one thing that waits longer than it should; `level` of `levels` of its ladder were told, 0 for no ladder."""

    outreach: str
    stage: str
    what: str
    waiting_on: str
    since: datetime | None
    level: int
    levels: int
    acknowledged_by: str
    acknowledged_at: datetime | None
    deadline: datetime | None
    problem: str
    what_to_do: str


def stuck(as_json: Annotated[bool, Json] = False) -> None:
    """List what waits longer than it should, and who is on it.

    On people, past a deadline with no worker alive, for a worker to plan it, or on a failing task.
    """

    now = datetime.now(UTC)

    async def look(client: Client) -> tuple[list[Stuck], bool, set[str]]:
        running = await OutreachClient(client).running()
        return await find_stuck(client, now), await worker_polls(client, now), running

    found, working, running = on_temporal(look)
    with opened() as here:
        found = climbed(found, here.escalations.open())
        found += without_workflow(here.outreaches.all(open_only=True), running, now)
        tell_pause(here)
    if not working:
        note("no worker has asked Temporal for work in the last two minutes; start one: python -m workers")
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("nothing is stuck")
        return
    rows = [
        (
            one.outreach,
            one.problem or one.stage,
            f"{one.level}/{one.levels}" if one.levels else "-",
            f"{one.acknowledged_by} (on it, {when(one.acknowledged_at)})" if one.acknowledged_by else one.waiting_on,
            when(one.since),
            when(one.deadline),
            one.what,
            one.what_to_do,
        )
        for one in found
    ]
    print_table(("outreach", "stage", "level", "waiting on", "since", "deadline", "what", "what to do"), rows)
    say(f"{counted(len(found), 'thing')} stuck")


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
    running = "ExecutionStatus='Running'"
    outreach = f"WorkflowType='{contract.OUTREACH}' AND {running}"
    past = f"{running} AND {contract.DEADLINE.name} < '{now.isoformat(timespec='seconds')}'"
    since = (now - PLANNED_WITHIN).isoformat(timespec="seconds")
    stage = contract.STAGE.name
    unplanned = f"{outreach} AND ({stage} IS NULL OR {stage} = '{Stage.PLANNING}') AND StartTime < '{since}'"
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


def climbed(found: Iterable[Stuck], escalations: Iterable[EscalationRecord]) -> list[Stuck]:
    """Returns what is stuck with one entry for each escalation of it, the most pressing first."""
    open_: dict[str, list[EscalationRecord]] = {}
    for record in escalations:
        open_.setdefault(record.about, []).append(record)
    told = []
    for one in found:
        own = sorted(open_.get(one.outreach, []), key=lambda record: PRESSING.index(record.kind))
        told += [_with(one, record) for record in own] or [one]
    return told


def _with(one: Stuck, record: EscalationRecord) -> Stuck:
    elsewhere = ELSEWHERE.get(one.outreach.partition("/")[0])
    decided_by = one.waiting_on if record.kind == "overdue" and record.level < 2 else record.waiting_on
    return one.model_copy(
        update={
            "what": record.text,
            "waiting_on": decided_by,
            "since": record.opened_at,
            "level": record.level,
            "levels": record.levels,
            "acknowledged_by": record.acknowledged_by,
            "acknowledged_at": record.acknowledged_at,
            "what_to_do": one.what_to_do if one.problem else elsewhere or ESCALATED[record.kind],
        }
    )


def without_workflow(records: Iterable[OutreachRecord], running: Container[str], now: datetime) -> list[Stuck]:
    """Returns the outreaches that are open in the database and have no workflow that could end them."""
    gone = [one for one in records if one.id not in running and one.started_at < now - LISTED_WITHIN]
    return [
        Stuck(
            outreach=one.id,
            stage="",
            what="",
            waiting_on="",
            since=one.started_at,
            level=0,
            levels=0,
            acknowledged_by="",
            acknowledged_at=None,
            deadline=None,
            problem="no workflow",
            what_to_do="tellfirst restart",
        )
        for one in gone
    ]


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
        what="",
        waiting_on="" if waiting_on == "nobody" else waiting_on,
        since=execution.start_time,
        level=0,
        levels=0,
        acknowledged_by="",
        acknowledged_at=None,
        deadline=attributes.get(contract.DEADLINE),
        problem=problem,
        what_to_do=advice.get(problem) or WHAT_TO_DO.get(stage, "tellfirst show"),
    )
