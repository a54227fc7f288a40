"""The Temporal server is killed again and again while people approve: what they were told was accepted is there."""

import os
from pathlib import Path
from random import Random

import pytest

from tests.chaos.kinds.temporal import approvals
from tests.chaos.place import Place
from tests.chaos.report import Tallies
from tests.figures import Figure

KILLS = int(os.environ.get("TELLFIRST_SERVER_KILLS", "3"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_every_decision_that_a_command_reported_as_accepted_is_there(tmp_path: Path, figure: Figure) -> None:
    seen = Tallies()
    async with Place(tmp_path) as place:
        place.people(0)
        async with place.working(2):
            approved = await approvals(place, seen, Random(1), KILLS)
        figure(approved.line())
        assert seen.broken == []
        assert approved.kills >= KILLS
        assert approved.accepted > 0
        assert (approved.missing, approved.twice) == (0, 0)
        assert (seen.found["lost"], seen.found["duplicate"], seen.found["unknown_held"]) == (0, 0, 0)
        assert (await place.verify())["promises_broken"] == []
