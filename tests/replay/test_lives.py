"""Recorded histories of lives in which people do more than say yes once replay with today's code.

Record new ones with `TELLFIRST_RECORD=1 pytest tests/workflows/test_lives.py`.
"""

import pytest

from tests.replay.reading import failure, words
from tests.replay.reordered import Reordered
from tests.workflows.test_lives import LIVES, MATTERS
from tests.world import HISTORIES
from workflows.matter import LibraryChangeWorkflow, PermitWorkflow
from workflows.outreach import OutreachWorkflow

FOLDER = HISTORIES / "lives"


@pytest.mark.parametrize("name", sorted(LIVES | MATTERS))
async def test_a_recorded_life_replays(name: str) -> None:
    found = await failure(FOLDER / f"{name}.json", OutreachWorkflow, LibraryChangeWorkflow, PermitWorkflow)
    assert found is None, found


@pytest.mark.parametrize("name", sorted(LIVES))
async def test_a_reordered_workflow_is_caught(name: str) -> None:
    assert "nondeterminism" in str(await failure(FOLDER / f"{name}.json", Reordered)).lower()


def test_no_history_holds_what_customers_are_reached_by() -> None:
    for path in sorted(HISTORIES.rglob("*.json")):
        found = words(path)
        assert '"' in found, "read wrongly, nothing would be found"
        assert "+1415" not in found, path
        assert '"addresses"' not in found, path
