"""Workers are killed between the levels of a ladder: each level is told once all the same."""

import asyncio
from pathlib import Path

from tellfirst.client import OutreachClient
from tellfirst.store.notices import Notices
from tests.faults.installation import Installation

QUICK = {'\nafter = "PT2H"': '\nafter = "PT4S"', '\nafter = "PT6H"': '\nafter = "PT8S"'}


async def test_each_level_is_told_once_over_killed_workers(tmp_path: Path) -> None:
    async with Installation(tmp_path, replace=QUICK) as place:
        place.people(1)
        notices = Notices(place.database)
        worker = place.worker()
        outreach = (await place.start(1, key="late-1")).id
        client = OutreachClient(place.client)
        await client.escalate(outreach, "raised", note="call the carrier")

        async def told(levels: int) -> None:
            async with asyncio.timeout(60):
                while len(notices.of(outreach)) < levels:
                    await asyncio.sleep(0.05)

        for levels in (1, 2, 3):
            await told(levels)
            place.kill(worker)
            worker = place.worker()
        await client.acknowledge(outreach, by="eve")
        async with asyncio.timeout(60):
            while not (await client.view(outreach)).escalations[0].acknowledged_by:
                await asyncio.sleep(0.1)
        assert [(one.level, one.to) for one in notices.of(outreach)] == [
            (1, "Service lead"),
            (2, "Delivery experience"),
            (3, "Head of customer service"),
        ]
        assert [way.way for ways in notices.deliveries(outreach).values() for way in ways] == ["console"] * 3
