"""Workers are killed between the levels of a ladder, and an outreach closes while one is told: each is told once."""

import asyncio
from pathlib import Path
from typing import Any

from tellfirst.client import OutreachClient
from tellfirst.store.notices import Notices
from tests.channels.test_webhook import SECRET, Receiver, receiving
from tests.faults.installation import Installation, until
from tests.http_connection import Connection

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


class Slow(Receiver):
    """Is a system that takes its time over the first request."""

    waits: Connection | None = None

    def handle(self, connection: Connection, *request: Any) -> None:
        if self.waits is None:
            self.waits = connection
        else:
            super().handle(connection, *request)


async def test_a_notice_outlives_the_outreach_that_gave_it(tmp_path: Path) -> None:
    """As the server of production closes what a closing workflow started, unless it is told not to."""
    async with receiving(Slow()) as slow, Installation(tmp_path) as place:
        notify = tmp_path / "notify.toml"
        notify.write_text(f'[ways.oncall]\nwebhook = "{slow.url}"\nsecret = "{SECRET}"\n[to]\n"*" = ["oncall"]\n')
        place.environment["TELLFIRST_NOTIFY"] = str(notify)
        place.people(1)
        notices = Notices(place.database)
        place.worker()
        handle = await place.start(1, key="late-1")
        await until(lambda: place.outreaches.revision(handle.id, 1) is not None, 60)
        client = OutreachClient(place.client)
        await client.escalate(handle.id, "raised", note="call the carrier")
        async with asyncio.timeout(60):
            while slow.waits is None:
                await asyncio.sleep(0.05)
        await client.tell(handle.id, "abort", note="enough")
        assert (await handle.result()).ending == "aborted"
        slow.waits.answer(500, "")
        async with asyncio.timeout(60):
            while not all(way.delivered_at for ways in notices.deliveries(handle.id).values() for way in ways):
                await asyncio.sleep(0.1)
        assert len(slow.seen) == 1, "the first was refused, the second taken"
