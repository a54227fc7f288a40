"""The workers of one process: what each queue runs, and how much of it at once."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from activities.feed import FeedRequest
from tellfirst import __version__, contract
from tellfirst.errors import InputError, SourceError
from tellfirst.store.engine import DatabaseError
from tellfirst.store.feed import Feed
from workers.sandbox import Sandbox
from workers.wiring import Application
from workflows.arguments import OneArgument
from workflows.detection import DetectionWorkflow
from workflows.exception import ExceptionWorkflow
from workflows.feed import FeedWorkflow
from workflows.ladder import NoticeWorkflow
from workflows.matter import LibraryChangeWorkflow, PermitWorkflow, ResumeWorkflow
from workflows.outreach import OutreachWorkflow
from workflows.survey import SurveyWorkflow
from workflows.upkeep import UpkeepState, UpkeepWorkflow

CACHED_OUTREACHES = 1_000
"""Workflows one process keeps in memory, at about 0.3 MB each; the others replay when something happens to them."""
HEARD_WITHIN = timedelta(seconds=1)
"""How often the server hears from a page in work."""
PAGES_AT_ONCE = 6
"""Pages one worker process sends at once on one channel; each holds a thread and a database connection.

One outreach has four in flight: whoever else has something to say on the channel finds room beside it.
"""
URGENT_AT_ONCE = 2
"""Urgent pages it sends at once besides: however many pages a campaign has, these are not behind them."""


def workers(
    application: Application,
    client: Client,
    *,
    queues: Collection[str] = (),
    graceful: timedelta = timedelta(seconds=10),
) -> list[Worker]:
    """Returns the workers of one process: for workflows and database work, and two per channel.

    Given `queues`, only those; raises InputError for one that there is not.
    """
    main: Sequence[Callable[..., Any]] = [
        application.planning.plan,
        application.addenda.keep_draft,
        application.decisions.receive_decision,
        application.canary.open_rest,
        application.canary.close_rest,
        application.outreach.randomise,
        application.outreach.look,
        application.fallback.look_for_lost,
        application.outreach.close,
        application.outreach.end,
        application.outreach.set_status,
        application.outreach.hold,
        application.escalations.notify,
        application.escalations.keep_escalation,
        application.escalations.deliver_notice,
        application.detection.sweep,
        application.exception_claims.claim_exception,
        application.exceptions.receive_grant,
        application.exceptions.settle_exception,
        application.exceptions.execute_exception,
        application.matters.open_matter,
        application.matters.receive_matter_decision,
        application.matters.expire_matter,
        application.upkeep.upkeep,
        application.surveys.find_surveys,
        application.surveys.draw_survey,
        application.harm.watch_harm,
    ]
    only = _chosen(queues, application)
    result = []
    if contract.QUEUE in only:
        result.append(
            Worker(
                client,
                task_queue=contract.QUEUE,
                workflows=[
                    OutreachWorkflow,
                    DetectionWorkflow,
                    FeedWorkflow,
                    UpkeepWorkflow,
                    SurveyWorkflow,
                    ExceptionWorkflow,
                    NoticeWorkflow,
                    LibraryChangeWorkflow,
                    PermitWorkflow,
                    ResumeWorkflow,
                ],
                activities=main,
                workflow_runner=Sandbox(),
                interceptors=[OneArgument()],
                activity_executor=ThreadPoolExecutor(max_workers=20, thread_name_prefix="outreach"),
                max_concurrent_activities=20,
                build_id=__version__,
                # Few at a time: after a restart hundreds of histories replay, and each must finish within two seconds.
                max_concurrent_workflow_tasks=10,
                max_cached_workflows=CACHED_OUTREACHES,
                graceful_shutdown_timeout=graceful,
            )
        )
    for channel, urgent in product(application.adapters, (False, True)):
        queue, at_once = contract.send_queue(channel, urgent=urgent), URGENT_AT_ONCE if urgent else PAGES_AT_ONCE
        if queue not in only:
            continue
        result.append(
            Worker(
                client,
                task_queue=queue,
                activities=[
                    application.dispatch.dispatch,
                    application.reconciliation.reconcile,
                    application.exception_answers.answer_exception,
                    application.asking.ask_page,
                ],
                activity_executor=ThreadPoolExecutor(max_workers=at_once, thread_name_prefix=queue),
                build_id=__version__,
                max_concurrent_activities=at_once,
                max_concurrent_activity_task_polls=2,
                # The server's rate limit on this queue does not see eager activities.
                disable_eager_activity_execution=True,
                # A page hears that it is called back from the answer to a heartbeat; by default one in twelve seconds.
                max_heartbeat_throttle_interval=HEARD_WITHIN,
                graceful_shutdown_timeout=graceful,
            )
        )
    if application.endpoints and contract.FEED_QUEUE in only:
        result.append(
            Worker(
                client,
                task_queue=contract.FEED_QUEUE,
                activities=[application.feed.tell_events],
                # Each holds its thread for as long as there is a system to be told.
                activity_executor=ThreadPoolExecutor(max_workers=len(application.endpoints), thread_name_prefix="feed"),
                build_id=__version__,
                max_concurrent_activities=len(application.endpoints),
                disable_eager_activity_execution=True,
                graceful_shutdown_timeout=graceful,
            )
        )
    return result


def _chosen(queues: Collection[str], application: Application) -> Collection[str]:
    channels = product(application.adapters, (False, True))
    known = [
        contract.QUEUE,
        contract.FEED_QUEUE,
        *(contract.send_queue(one, urgent=urgent) for one, urgent in channels),
    ]
    if strange := sorted(set(queues) - set(known)):
        raise InputError(f"there is no queue '{strange[0]}'", remedy=f"the queues are {', '.join(known)}")
    return queues or known


async def start_feeds(application: Application, client: Client) -> None:
    """Lets the systems of this worker's file, and no other, be told from now on; raises SourceError."""
    named = {name: endpoint.types for name, endpoint in application.endpoints.items()}
    try:
        Feed(application.database).register(named, now=datetime.now(UTC))
    except DatabaseError:
        raise SourceError(
            "the database does not answer, or is not migrated", remedy="check TELLFIRST_DATABASE_URL"
        ) from None
    for name in named:
        await client.start_workflow(
            contract.FEED,
            FeedRequest(endpoint=name),
            id=contract.feed_id(name),
            task_queue=contract.QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )


async def start_upkeep(client: Client) -> None:
    """Lets the one life of upkeep begin, where it does not run already."""
    await client.start_workflow(
        contract.UPKEEP,
        UpkeepState(since=datetime.now(UTC)),
        id=contract.UPKEEP_ID,
        task_queue=contract.QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
