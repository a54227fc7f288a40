"""Recorded histories of every ending of an exception replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_exceptions.py -k ending`.
"""

import pytest

from tellfirst import contract
from tests.replay.reading import failure, words
from tests.workflows.test_exceptions import STORIES
from tests.world import HISTORIES
from workflows.exception import ExceptionWorkflow

FOLDER = HISTORIES / "exceptions"


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_a_recorded_ending_replays(name: str) -> None:
    found = await failure(FOLDER / f"{name}.json", ExceptionWorkflow)
    assert found is None, found


def test_every_ending_has_a_history() -> None:
    assert {STORIES[path.stem][1] for path in FOLDER.glob("*.json")} == {str(e) for e in contract.ExceptionEnding}


def test_no_history_holds_what_customers_read_or_are_reached_by() -> None:
    for path in FOLDER.glob("*.json"):
        found = words(path)
        assert contract.exception_id("") in found, "read wrongly, nothing would be found"
        assert "+1415" not in found
        assert "credited" not in found
