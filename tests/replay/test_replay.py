"""Recorded histories of every ending replay with today's code: what runs for weeks must survive a deploy.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_endings.py`; never edit an old one, add beside it.
"""

import pytest

from tellfirst import contract
from tests.replay.reading import failure
from tests.replay.reordered import Reordered
from tests.workflows.test_endings import STORIES
from tests.world import HISTORIES
from workflows.outreach import OutreachWorkflow


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_a_recorded_ending_replays(name: str) -> None:
    found = await failure(HISTORIES / f"{name}.json", OutreachWorkflow)
    assert found is None, found


async def test_a_reordered_workflow_is_caught() -> None:
    assert "nondeterminism" in str(await failure(HISTORIES / "measured.json", Reordered)).lower()


def test_every_ending_has_a_history() -> None:
    endings = {STORIES[path.stem][1] for path in HISTORIES.glob("*.json")}
    assert endings == {str(ending) for ending in contract.Ending}
