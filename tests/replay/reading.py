"""Recorded histories: whether today's code replays one, and what it holds in words.

Payloads stand in a history as base64, where no search finds anything.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tellfirst import contract


async def failure(path: Path, *workflows: type) -> Exception | None:
    """Returns why a recorded life does not replay; None when it does."""
    text = path.read_text()
    events = json.loads(text)["events"]
    # A history that was cut short would replay whatever the code says.
    assert events[-1]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    # Some workflows hold their id against what they are about.
    id_ = events[0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    replayer = Replayer(workflows=workflows, data_converter=contract.DATA_CONVERTER)
    result = await replayer.replay_workflow(WorkflowHistory.from_json(id_, text), raise_on_replay_failure=False)
    return result.replay_failure


def words(path: Path) -> str:
    """Returns all texts of a history, each payload decoded."""
    return "\n".join(_texts(json.loads(path.read_text())))


def _texts(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield name
            yield from _texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value)
    elif isinstance(found, str):
        try:
            yield base64.b64decode(found, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            yield found
