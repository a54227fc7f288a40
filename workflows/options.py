"""Named time-outs and retry policies; every activity call names one of them."""

import contextlib
from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError
from temporalio.workflow import ActivityCancellationType


class Quick(TypedDict):
    """Is the options of a local activity."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class Options(Quick):
    """Is the options of an activity that reports its progress."""

    heartbeat_timeout: timedelta
    cancellation_type: ActivityCancellationType


QUICK = Quick(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30)),
)
"""A statement or two on our own database: no history of its own, done inside the workflow task."""

DATABASE = Options(
    start_to_close_timeout=timedelta(minutes=30),
    schedule_to_close_timeout=timedelta(hours=6),
    heartbeat_timeout=timedelta(seconds=60),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
)
"""Work over a whole audience on our own database or the operational source."""

WATCH = Options(
    start_to_close_timeout=timedelta(minutes=10),
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=timedelta(seconds=60),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
)
"""A look that the next round repeats anyway: what keeps it from succeeding is not to hold up the rest of the round."""

SEND = Options(
    start_to_close_timeout=timedelta(minutes=30),
    schedule_to_close_timeout=timedelta(hours=24),
    heartbeat_timeout=timedelta(seconds=10),
    # A page that is called back says first what left.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
"""One page of messages: a dead worker is noticed by its silence, another goes on where the effect log stands."""

CARRY_OUT = Options(
    start_to_close_timeout=timedelta(minutes=1),
    # Until it is acknowledged: each attempt looks first whether the grant still holds, and that ends it.
    schedule_to_close_timeout=timedelta(days=400),
    heartbeat_timeout=timedelta(minutes=1),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10)),
)
"""One request to another system, or one message to one customer."""

NOTIFY = Options(
    start_to_close_timeout=timedelta(minutes=5),
    schedule_to_close_timeout=timedelta(days=1),
    heartbeat_timeout=timedelta(seconds=60),
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)),
)
"""One notice to people, by all its ways: after a day whoever was not reached knows by other means."""

FEED = Options(
    start_to_close_timeout=timedelta(minutes=15),
    schedule_to_close_timeout=timedelta(days=400),
    heartbeat_timeout=timedelta(seconds=30),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
"""Ten minutes of telling one other system what happens; whatever ends them, the next ones go on."""

BRIEF = Quick(
    start_to_close_timeout=timedelta(seconds=5),
    schedule_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_attempts=1),
)
"""What mostly takes a moment, tried once inside the workflow task: an activity of its own where it does not."""

SMALL = 500
"""Up to so many recipients, work over the audience is as short as any statement."""


async def over_audience(activity: Any, request: Any, recipients: int) -> Any:
    """Runs an activity over an audience of known size; a small one is not worth six events of history."""
    if recipients <= SMALL:
        return await workflow.execute_local_activity_method(activity, request, **QUICK)
    return await workflow.execute_activity_method(activity, request, **DATABASE)


async def at_once(activity: Any, request: Any) -> Any:
    """Runs an activity that mostly takes a moment, anew as one with time to fail in where it did not end in that."""
    with contextlib.suppress(FailureError):
        return await workflow.execute_local_activity_method(activity, request, **BRIEF)
    return await workflow.execute_activity_method(activity, request, **DATABASE)
