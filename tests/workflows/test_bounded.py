"""Bounded histories: however many are told or asked, no run comes near the ten thousand events that are our limit."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.asking import Asked
from activities.surveys import Drawn, SurveyPageRequest, SurveyRequest
from tellfirst import contract
from tests.figures import Figure
from tests.workflows.test_sending import people
from tests.world import World
from workflows.sending import PAGES_PER_RUN
from workflows.survey import SurveyWorkflow

LIMIT = 10_000
SUGGESTED = 4_096
"""So many events have the server ask for another run, unless it is told otherwise."""
PAGES = int(os.environ.get("TELLFIRST_TEST_PAGES", "310"))
QUESTIONS = 40


async def runs(handle: WorkflowHandle[Any, Any]) -> list[list[Any]]:
    """Returns the events of every run of a workflow, the last first."""
    found, run = [], (await handle.describe()).run_id
    while run:
        events = [e async for e in handle._client.get_workflow_handle(handle.id, run_id=run).fetch_history_events()]
        found.append(events)
        run = events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return found


def pages_of(events: list[Any]) -> int:
    """Returns how many pages a run gave to workers."""
    scheduled = (e.activity_task_scheduled_event_attributes.activity_type.name for e in events)
    return sum(name in ("dispatch", "ask_page") for name in scheduled)


async def test_continue_as_new_keeps_the_place(world: World, figure: Figure) -> None:
    await world.with_settings(page_size=1)
    world.contacts_known()
    handle = await world.start(world.late(*people(world, PAGES)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == PAGES, seconds=90 + PAGES)
    assert len({m.address for m in world.sms.sent}) == PAGES
    await world.client.tell(handle.id, "abort", note="enough")
    result = await world.finish(handle)
    assert (result.ending, result.accepted) == ("measured", PAGES)
    found = await runs(world.env.client.get_workflow_handle(handle.id))
    assert sum(map(pages_of, found)) == PAGES
    assert len(found) == PAGES // PAGES_PER_RUN + 1
    fullest = max(found, key=len)
    # Beside its pages a run has what people and sources say; all of that ends with the server's word.
    each = len(fullest) / pages_of(fullest)
    bound = max(PAGES_PER_RUN * each, SUGGESTED) + 500
    figure(
        f"{PAGES:,} pages: {len(found)} runs, {len(fullest):,} events the longest, {each:.1f} a page, "
        f"so at most about {bound:,.0f} in a run of an outreach of any size"
    )
    assert bound < LIMIT


async def test_a_survey_of_many_pages_asks_each_once_and_comes_back_to_who_waits(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server says so after thousands of events.
    monkeypatch.setattr(
        workflow.Info, "is_continue_as_new_suggested", lambda run: run.get_current_history_length() > 90
    )
    morning = datetime.now(UTC) + timedelta(hours=9)
    waits, asked = set(range(0, QUESTIONS, 9)), list[int]()

    @activity.defn
    async def draw_survey(request: SurveyRequest) -> Drawn:
        still = range(QUESTIONS) if len(asked) < QUESTIONS else sorted(waits)
        pages = (
            SurveyPageRequest(outreach=request.outreach, page=n, channel="sms", not_after=morning + timedelta(days=1))
            for n in still
        )
        return Drawn(until=datetime.now(UTC), pages=tuple(pages) if len(asked) < QUESTIONS + len(waits) else ())

    @activity.defn
    async def ask_page(page: SurveyPageRequest) -> Asked:
        asked.append(page.page)
        return Asked(next_at=morning if page.page in waits and len(asked) <= QUESTIONS else None)

    client = env.client
    async with (
        Worker(
            client,
            task_queue=contract.QUEUE,
            workflows=[SurveyWorkflow],
            activities=[draw_survey],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
        Worker(client, task_queue=contract.send_queue("sms"), activities=[ask_page]),
    ):
        id_ = f"survey/bounded-{morning.timestamp()}"
        handle = await client.start_workflow(
            contract.SURVEY, SurveyRequest(outreach="outreach/x/y/1"), id=id_, task_queue=contract.QUEUE
        )
        await handle.result()
    assert sorted(asked) == sorted([*range(QUESTIONS), *waits])
    found = await runs(client.get_workflow_handle(id_))
    assert len(found) > 2
    assert max(map(len, found)) < 90 + 10
    assert found[0][-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
