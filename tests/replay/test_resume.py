"""Recorded histories of every ending of a pause of everything replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_resume.py -k ending`.
"""

import pytest

from tests.replay.reading import failure
from tests.workflows.test_resume import STORIES
from tests.world import HISTORIES
from workflows.matter import ResumeWorkflow

FOLDER = HISTORIES / "resume"


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_a_recorded_ending_replays(name: str) -> None:
    found = await failure(FOLDER / f"{name}.json", ResumeWorkflow)
    assert found is None, found
