"""Scheduled sweeps: what is new becomes an outreach, what runs hears that its condition has grown or is over."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from activities.detection import SweepRequest
from tellfirst import contract
from tests.world import World

_TESTS = ("each_sweep", "is_over", "growing")


class Shop:
    """Is a shop whose parcels are late; each has a present of its own, for sweeps are named after their instant."""

    def __init__(self, world: World, path: Path, *, hours_ago: int) -> None:
        self.world, self.path = world, path
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours_ago)
        self.run("CREATE TABLE orders (order_id, customer_id, status, placed_at, promised_at, delivered_at)")

    def run(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def late(self, number: int) -> None:
        self.world.customer(f"c-{number}", addresses={"sms": f"+1415000000{number}"})
        placed, promised = self.now - timedelta(days=9), self.now - timedelta(days=2)
        values = (f"o-{number}", f"c-{number}", placed.isoformat(), promised.isoformat())
        self.run("INSERT INTO orders VALUES (?, ?, 'shipped', ?, ?, NULL)", *values)

    def deliver(self, number: int) -> None:
        self.run("UPDATE orders SET delivered_at = ? WHERE order_id = ?", self.now.isoformat(), f"o-{number}")

    async def sweep(self, **after: float) -> int:
        """Runs the workflow that the schedule runs and returns how many outreaches it started."""
        request = SweepRequest(trigger="late_delivery", at=self.now + timedelta(**after))
        with self.world.env.with_time_skipping_disabled():  # its children inherit the clock
            started: int = await self.world.env.client.execute_workflow(
                contract.DETECTION, request, id=f"detect/{uuid4()}", task_queue=contract.QUEUE
            )
        return started


@pytest.fixture
async def shop(world: World, request: pytest.FixtureRequest) -> Shop:
    hours_ago = next(n for n, test in enumerate(_TESTS) if test in request.node.name)
    made = Shop(world, world.folder / "shop.db", hours_ago=hours_ago)
    await world.with_source(f"sqlite:///{made.path}")
    return made


def pending(world: World) -> list[str]:
    return [one.outreach for one in world.outreaches.pending()]


async def first_told(shop: Shop, world: World) -> str:
    """Returns the outreach that a sweep started for one late parcel, once its customer is told."""
    shop.late(1)
    await shop.sweep()
    await world.until(lambda: len(pending(world)) == 1)
    [outreach] = pending(world)
    await world.approve(outreach)
    await world.until(lambda: len(world.sms.sent) == 1)
    return outreach


async def test_each_sweep_starts_what_is_new(shop: Shop, world: World) -> None:
    shop.late(1)
    shop.late(2)
    assert await shop.sweep() == 1
    await world.until(lambda: len(pending(world)) == 1)
    assert await shop.sweep(minutes=15) == 0, "both are admitted"
    shop.late(3)
    assert await shop.sweep(minutes=30) == 1
    await world.until(lambda: len(pending(world)) == 2)
    for outreach in pending(world):
        await world.env.client.get_workflow_handle(outreach).terminate("the test is over")


async def test_when_it_is_over_the_sweep_says_so_and_everybody_told_hears_it(shop: Shop, world: World) -> None:
    world.contacts_known()
    outreach = await first_told(shop, world)
    shop.deliver(1)
    await shop.sweep(hours=1)
    await shop.sweep(hours=8)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert "arrived" in world.sms.sent[1].rendered.body
    assert (
        await world.finish(world.env.client.get_workflow_handle(outreach, result_type=contract.Result))
    ).accepted == 2


async def test_a_growing_incident_asks_about_the_new_ones(shop: Shop, world: World) -> None:
    world.override(
        "late_delivery",
        {'shape = "batch"': 'shape = "incident"', 'kind = "sql"': 'kind = "sql"\ngroup_by = ["promised_at"]'},
    )
    outreach = await first_told(shop, world)
    shop.late(2)
    assert await shop.sweep(minutes=15) == 0, "it is the same incident"
    assert (await world.approve(outreach, revision=2)).accepted
    await world.until(lambda: len(world.sms.sent) == 2)
    assert world.sms.sent[1].address == "+14150000002"
    await world.env.client.get_workflow_handle(outreach).terminate("the test is over")
