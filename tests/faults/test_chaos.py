"""A slice of `scripts/chaos`: at each point of a send one worker dies, and what was promised holds."""

import sys

import pytest

from tests.chaos.kinds import killed
from tests.chaos.run import KINDS, Wish, provoke
from tests.figures import Figure


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_worker_that_dies_at_any_point_loses_and_doubles_nothing(database: str, figure: Figure) -> None:
    wish = Wish(minutes=0, seed=1, kinds=("killed",), databases=(database,))
    report = await provoke(wish, told=sys.stderr, kinds={**KINDS, "killed": (killed.EACH_ONCE,)})
    figure(f"chaos, {database}: {report.line()}")
    assert report.held, report
    assert sum(report.kinds.values()) == 6
    assert report.unknown_held, "who died between intent and request left something to a person"
