"""Billable actions, counted from histories made up event by event: each rule of the price list once."""

import sys
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from tests.architecture.documents import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from bench_actions import billable


class Made:
    """Is a history as it grows."""

    def __init__(self) -> None:
        self.events: list[HistoryEvent] = []

    def add(self, kind: str, *, at: float = 0.0, **attributes: Any) -> int:
        """Appends an event `at` seconds and returns its id."""
        event = HistoryEvent(event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{kind}"))
        event.event_time.FromNanoseconds(int(at * 1e9))
        inner = getattr(event, f"{kind.lower()}_event_attributes")
        inner.SetInParent()
        for name, value in attributes.items():
            setattr(inner, name, value)
        self.events.append(event)
        return event.event_id

    def activity(
        self,
        seconds: float,
        *,
        attempt: int = 1,
        heartbeat: float = 10.0,
        end: str = "COMPLETED",
        queue: str = "outreach",
    ) -> None:
        """Appends an activity whose last attempt took so long."""
        scheduled = self.add("ACTIVITY_TASK_SCHEDULED")
        attributes = self.events[-1].activity_task_scheduled_event_attributes
        attributes.heartbeat_timeout.FromTimedelta(timedelta(seconds=heartbeat))
        attributes.task_queue.name = queue
        started = self.add("ACTIVITY_TASK_STARTED", at=5, scheduled_event_id=scheduled, attempt=attempt)
        self.add(f"ACTIVITY_TASK_{end}", at=5 + seconds, scheduled_event_id=scheduled, started_event_id=started)


@pytest.mark.parametrize(
    "kind",
    [
        *("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"),
        *("TIMER_STARTED", "START_CHILD_WORKFLOW_EXECUTION_INITIATED", "WORKFLOW_EXECUTION_OPTIONS_UPDATED"),
        "ACTIVITY_TASK_SCHEDULED",
    ],
)
def test_one_event_one_action(kind: str) -> None:
    made = Made()
    made.add(kind)
    assert billable(made.events) == 1


@pytest.mark.parametrize(
    "kind",
    [
        *("TIMER_FIRED", "TIMER_CANCELED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_COMPLETED"),
        *("WORKFLOW_EXECUTION_UPDATE_COMPLETED", "CHILD_WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_COMPLETED"),
        # Billed where it arrives; as the start of the next run.
        *("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"),
        "WORKFLOW_PROPERTIES_MODIFIED",
    ],
)
def test_what_is_free(kind: str) -> None:
    made = Made()
    made.add(kind)
    assert billable(made.events) == 0


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "TIMED_OUT", "CANCELED"])
@pytest.mark.parametrize(
    ("seconds", "heartbeats"), [(0.1, 1), (7.9, 1), (8.1, 2), (16.1, 3)], ids=["short", "just", "longer", "long"]
)
def test_an_attempt_beats_at_once_and_then_as_its_throttle_lets_it(seconds: float, heartbeats: int, end: str) -> None:
    made = Made()
    made.activity(seconds, end=end)
    assert billable(made.events) == 1 + heartbeats


def test_the_throttle_is_a_minute_at_most_and_half_a_one_without_a_time_out() -> None:
    made = Made()
    made.activity(100, heartbeat=3_600)
    assert billable(made.events) == 1 + 2
    made.activity(100, heartbeat=0)
    assert billable(made.events) == 3 + 1 + 4


@pytest.mark.parametrize("queue", ["send-sms", "send-email-urgent"])
def test_a_page_that_sends_is_heard_every_second(queue: str) -> None:
    made = Made()
    made.activity(3.5, queue=queue)
    assert billable(made.events) == 1 + 4


def test_each_attempt_is_billed_with_its_first_heartbeat() -> None:
    made = Made()
    made.activity(0.1, attempt=3)
    assert billable(made.events) == 3 + 3


def test_an_activity_that_nobody_began_is_billed_once() -> None:
    made = Made()
    scheduled = made.add("ACTIVITY_TASK_SCHEDULED")
    made.add("ACTIVITY_TASK_CANCELED", scheduled_event_id=scheduled)
    assert billable(made.events) == 1


def test_markers_of_one_task_are_one_action() -> None:
    made = Made()
    for task in (4, 4, 4, 9):
        made.add("MARKER_RECORDED", marker_name="core_local_activity", workflow_task_completed_event_id=task)
    made.add("MARKER_RECORDED", marker_name="core_patch", workflow_task_completed_event_id=12)
    assert billable(made.events) == 3


@pytest.mark.parametrize(("attempts", "actions"), [(0, 0), (3, 3), (400, 100)])
def test_retries_of_local_activities_are_billed_up_to_a_hundred(attempts: int, actions: int) -> None:
    made = Made()
    made.add("WORKFLOW_TASK_COMPLETED")
    metered = made.events[-1].workflow_task_completed_event_attributes.metering_metadata
    metered.nonfirst_local_activity_execution_attempts = attempts
    assert billable(made.events) == actions


@pytest.mark.parametrize(
    ("names", "actions"),
    [(("OutreachStage", "OutreachDeadline"), 1), (("TemporalChangeVersion",), 0), (("A", "TemporalChangeVersion"), 1)],
)
def test_an_upsert_is_one_action_whatever_it_sets(names: tuple[str, ...], actions: int) -> None:
    made = Made()
    made.add("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
    upserted = made.events[-1].upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
    for name in names:
        upserted[name].data = b"x"
    assert billable(made.events) == actions


@pytest.mark.parametrize(("cause", "actions"), [("RESET_WORKFLOW", 1), ("NON_DETERMINISTIC_ERROR", 0)])
def test_a_reset_is_billed_and_a_failed_task_is_not(cause: str, actions: int) -> None:
    made = Made()
    made.add("WORKFLOW_TASK_FAILED", cause=WorkflowTaskFailedCause.Value(f"WORKFLOW_TASK_FAILED_CAUSE_{cause}"))
    assert billable(made.events) == actions
