"""An approved outreach that nobody sends, whose database an attacker changes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from temporalio.testing import ActivityEnvironment

from activities.pages import PageReport, PageRequest
from tellfirst.domain.message import Channel
from tests.world import World

ROWS = 4
Change = Callable[[sqlite3.Connection], object]


@dataclass
class Approved:
    """Is an approved outreach that nobody sends, beside another that nobody approved."""

    world: World
    id: str
    other: str
    saved: sqlite3.Connection

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.world.folder / "tellfirst.db", timeout=30)
        try:
            yield database
            database.commit()
        finally:
            database.close()

    async def run(self, change: Change) -> list[str]:
        """Returns the codes of the refusals after a change, an empty one for each message that left."""
        with self.database() as database:
            change(database)
        self.world.sms.sent.clear()
        try:
            halted = (await self.dispatch()).halted
        except Exception as error:  # a row that cannot be read any more: the attempt fails, whoever runs it is told
            halted = f"fails:{type(error).__name__}"
        with self.database() as database:
            query = "SELECT reason FROM sends WHERE outreach_id = ? AND state = 'withheld'"
            withheld = [reason for (reason,) in database.execute(query, (self.id,))]
        self.restore()
        refused = [halted] if halted else withheld
        # Rows that nothing was done to leave all the same: what counts is what nobody approved.
        return [""] * len(self.world.sms.sent) if self.world.sms.sent else refused or ["nothing_to_send"]

    async def dispatch(
        self, step: str = "initial", page: int = 0, channel: Channel = "sms", at: datetime | None = None
    ) -> PageReport:
        assert self.world.app is not None
        request = PageRequest(outreach=self.id, revision=1, step=step, channel=channel, page=page)
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=at or datetime.now(UTC))
        return await asyncio.to_thread(environment.run, self.world.app.dispatch.dispatch, request)

    async def held(self, **request: Any) -> None:
        """Dispatches while the outreach is paused: what is to leave is planned, and nothing leaves."""
        for paused in (1, 0):
            with self.database() as database:
                database.execute("UPDATE outreaches SET paused = ? WHERE id = ?", (paused, self.id))
            if paused:
                await self.dispatch(**request)
        assert not self.world.sms.sent

    def restore(self) -> None:
        with self.database() as database:
            self.saved.backup(database)

    def value(self, query: str, *values: object) -> Any:
        with self.database() as database:
            return database.execute(query, values).fetchone()[0]


@pytest_asyncio.fixture(loop_scope="session")
async def approved(world: World) -> AsyncIterator[Approved]:
    world.hold_out(0)
    for number in range(2 * ROWS):
        world.customer(f"c-{number}", addresses={"sms": f"+1415{number:07d}"}, timezone="America/New_York")
    other = await world.start(world.late(*(f"o-{n}" for n in range(ROWS, 2 * ROWS)), key=f"{world.key}-b"))
    await world.planned(other.id)
    handle = await world.start(world.late(*(f"o-{n}" for n in range(ROWS))))
    await world.approve(handle.id)
    await world.until(lambda: world.sends.tally(handle.id).accepted == ROWS)
    await world.rest()  # nobody else moves while the rows are moved about
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        assert database.execute("DELETE FROM sends").rowcount == ROWS
    world.sms.sent.clear()
    saved = sqlite3.connect(":memory:")
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.backup(saved)
    yield Approved(world, handle.id, other.id, saved)
    saved.close()
    await world.work()


def sql(statement: str, *values: object) -> Change:
    """Returns a change that has to touch something."""

    def change(database: sqlite3.Connection) -> None:
        assert database.execute(statement, values).rowcount > 0, statement

    return change
