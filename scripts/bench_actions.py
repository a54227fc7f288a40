"""What Temporal Cloud bills for a history: actions, counted event by event as its documentation maps them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from tellfirst.contract import SEND_QUEUE_PREFIX
from workers.pool import HEARD_WITHIN

ONE = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
)
"""Events that are one action each; that a run continues as new is billed as the start of the next."""
ENDS = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)
EXEMPT = {"TemporalChangeVersion"}
"""Search attributes that the SDK sets by itself and nobody pays for."""
UNSAID, MOST, SHARE = timedelta(seconds=30), timedelta(seconds=60), 0.8
"""How rarely the SDK lets heartbeats through: without a time-out, at the rarest, and as a share of the time-out."""


def billable(events: Iterable[HistoryEvent]) -> int:
    """Returns the actions that Temporal Cloud bills for the history of one run, rather too many than too few.

    By https://docs.temporal.io/cloud/actions as read on 22 November 2026. All markers of one workflow task are one
    action together, as are all search attributes of one upsert; the start of a child is billed to its parent and again
    as a start of its own. Heartbeats stand in no history: each attempt is counted with its first, which the SDK lets
    through at once, and with as many more as its throttle lets through until it ended. Left out is what no history
    tells: queries, refused updates, and heartbeats of workflow tasks whose local activities take longer than those.
    """
    known = list(events)
    return sum(_of(event) for event in known) + len(_marking(known)) + _heartbeats(known)


def _of(event: HistoryEvent) -> int:
    if event.event_type in ONE:
        return 1
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        return event.activity_task_started_event_attributes.attempt - 1
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
        metered = event.workflow_task_completed_event_attributes.metering_metadata
        return min(metered.nonfirst_local_activity_execution_attempts, 100)
    if event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        upserted = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        return int(bool(set(upserted) - EXEMPT))
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        cause = event.workflow_task_failed_event_attributes.cause
        return int(cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW)
    return 0


def _marking(events: Sequence[HistoryEvent]) -> set[int]:
    """Returns the workflow tasks that recorded markers: those of local activities, and of patches."""
    return {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    }


def _heartbeats(events: Sequence[HistoryEvent]) -> int:
    timeouts: dict[int, timedelta] = {}
    rarest: dict[int, timedelta] = {}
    begun: dict[int, tuple[datetime, timedelta]] = {}
    total = 0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            timeouts[event.event_id] = scheduled.heartbeat_timeout.ToTimedelta()
            # Workers that send let them through more often, so that a page hears soon that it is called back.
            sends = scheduled.task_queue.name.startswith(SEND_QUEUE_PREFIX)
            rarest[event.event_id] = HEARD_WITHIN if sends else MOST
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            timeout = timeouts.get(started.scheduled_event_id, timedelta())
            throttle = min(timeout * SHARE, rarest[started.scheduled_event_id]) if timeout else UNSAID
            begun[event.event_id] = event.event_time.ToDatetime(), throttle
            total += started.attempt
        elif event.event_type in ENDS:
            ended = getattr(event, str(event.WhichOneof("attributes")))
            if ended.started_event_id in begun:
                at, throttle = begun[ended.started_event_id]
                total += int((event.event_time.ToDatetime() - at) / throttle)
    return total
