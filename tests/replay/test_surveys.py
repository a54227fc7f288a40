"""Recorded surveys replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_surveys.py`.
"""

import pytest

from tests.replay.reading import failure, words
from tests.world import HISTORIES
from workflows.survey import SurveyWorkflow

FOLDER = HISTORIES / "surveys"


@pytest.mark.parametrize("name", ["asked", "nobody"])
async def test_a_recorded_survey_replays(name: str) -> None:
    found = await failure(FOLDER / f"{name}.json", SurveyWorkflow)
    assert found is None, found


def test_no_history_holds_whom_it_asked_or_what() -> None:
    for path in FOLDER.glob("*.json"):
        found = words(path)
        assert "outreach/late_delivery/" in found, "read wrongly, nothing would be found"
        assert "+1415" not in found
        assert "https://" not in found
