"""Recorded histories of every ending of a pause of everything replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_resume.py -k ending`.
"""

import json

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tellfirst import contract
from tests.workflows.test_resume import STORIES
from tests.world import HISTORIES
from workflows.matter import ResumeWorkflow

FOLDER = HISTORIES / "resume"


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_a_recorded_ending_replays(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    events = json.loads(text)["events"]
    # A history that was cut short would replay whatever the code says.
    assert events[-1]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    replayer = Replayer(workflows=[ResumeWorkflow], data_converter=contract.DATA_CONVERTER)
    # The workflow holds its id against the present pause.
    id_ = events[0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    result = await replayer.replay_workflow(WorkflowHistory.from_json(id_, text), raise_on_replay_failure=False)
    assert result.replay_failure is None, result.replay_failure
