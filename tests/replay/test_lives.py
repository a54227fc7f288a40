"""Recorded histories of lives in which people do more than say yes once replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_lives.py`.
"""

import json

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tellfirst import contract
from tests.replay.reading import words
from tests.replay.reordered import Reordered
from tests.workflows.test_lives import LIVES, MATTERS
from tests.world import HISTORIES
from workflows.matter import LibraryChangeWorkflow, PermitWorkflow
from workflows.outreach import OutreachWorkflow

FOLDER = HISTORIES / "lives"


def history(name: str) -> WorkflowHistory:
    text = (FOLDER / f"{name}.json").read_text()
    events = json.loads(text)["events"]
    # A history that was cut short would replay whatever the code says.
    assert events[-1]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    return WorkflowHistory.from_json(events[0]["workflowExecutionStartedEventAttributes"]["workflowId"], text)


async def failure(name: str, *workflows: type) -> Exception | None:
    replayer = Replayer(workflows=workflows, data_converter=contract.DATA_CONVERTER)
    return (await replayer.replay_workflow(history(name), raise_on_replay_failure=False)).replay_failure


@pytest.mark.parametrize("name", sorted(LIVES | MATTERS))
async def test_a_recorded_life_replays(name: str) -> None:
    found = await failure(name, OutreachWorkflow, LibraryChangeWorkflow, PermitWorkflow)
    assert found is None, found


@pytest.mark.parametrize("name", sorted(LIVES))
async def test_a_reordered_workflow_is_caught(name: str) -> None:
    assert "nondeterminism" in str(await failure(name, Reordered)).lower()


def test_no_history_holds_what_customers_are_reached_by() -> None:
    for path in sorted(HISTORIES.rglob("*.json")):
        found = words(path)
        assert '"' in found, "read wrongly, nothing would be found"
        assert "+1415" not in found, path
        assert '"addresses"' not in found, path
