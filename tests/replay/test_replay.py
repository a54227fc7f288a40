"""Recorded histories of every ending replay with today's code: what runs for weeks must survive a deploy.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_endings.py`; never edit an old one, add beside it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tellfirst import contract
from tests.replay.reordered import Reordered
from tests.workflows.test_endings import STORIES
from workflows.outreach import OutreachWorkflow

HISTORIES = Path(__file__).parent / "histories"


def replayer(*workflows: type) -> Replayer:
    return Replayer(workflows=workflows, data_converter=contract.DATA_CONVERTER)


def history(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())


def kinds(name: str) -> list[str]:
    events: list[dict[str, Any]] = json.loads((HISTORIES / f"{name}.json").read_text())["events"]
    return [event["eventType"] for event in events]


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_a_recorded_ending_replays(name: str) -> None:
    # A history that was cut short would replay whatever the code says.
    assert kinds(name)[-1] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    result = await replayer(OutreachWorkflow).replay_workflow(history(name), raise_on_replay_failure=False)
    assert result.replay_failure is None, result.replay_failure


async def test_a_reordered_workflow_is_caught() -> None:
    result = await replayer(Reordered).replay_workflow(history("measured"), raise_on_replay_failure=False)
    assert result.replay_failure is not None
    assert "nondeterminism" in str(result.replay_failure).lower()


def test_every_ending_has_a_history() -> None:
    endings = {STORIES[path.stem][1] for path in HISTORIES.glob("*.json")}
    assert endings == {str(ending) for ending in contract.Ending}
