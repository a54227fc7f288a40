"""Work behind the acknowledgement: retried until Temporal answers, done once, and taken up again after a crash."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.client import Client

from tellfirst.client import OutreachClient
from tellfirst.contract import DATA_CONVERTER, Ending
from tellfirst.errors import ConditionError, NotFoundError, UnreachableError
from tellfirst.store.arrivals import Arrival, Arrivals
from tellfirst.store.engine import Database
from tellfirst.store.tables_arrivals import ArrivalRow
from tellfirst.web.conditions import tell_temporal
from tellfirst.web.work import LEASE, NOT_FOUND_ATTEMPTS, Work
from tests.ports import free_port
from tests.store.make import at_once
from tests.web.signing import NOON
from tests.world import World

NOBODY: Any = None


class Clock:
    """Is a clock that tests move."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Flaky:
    """Does its work after having failed as often as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.done = list(failures), list[Mapping[str, Any]]()

    async def __call__(self, body: Mapping[str, Any], _: OutreachClient) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.done.append(body)


def row_of(database: Database) -> ArrivalRow:
    with database.read() as session:
        return session.exec(select(ArrivalRow)).one()


async def test_it_is_tried_until_temporal_answers(database: Database) -> None:
    clock, arrivals = Clock(), Arrivals(database)
    flaky = Flaky(UnreachableError("away"), UnreachableError("away"), RuntimeError("personal: ana@example.org"))
    work = Work(arrivals, {"x": flaky}, clock=clock)
    assert arrivals.keep("x", "k", {"a": 1}, now=NOON)
    assert not arrivals.keep("x", "k", {"a": 2}, now=NOON)
    pauses = []
    for _ in range(4):
        await work.work_off("x", NOBODY)
        if row_of(database).done_at is None:
            pauses.append((row_of(database).next_at - clock.now).total_seconds())
            assert await work.work_off("x", NOBODY) == 0  # it is not due
            clock.now = row_of(database).next_at
    assert flaky.done == [{"a": 1}]
    assert pauses == [2, 4, 8]
    row = row_of(database)
    assert (row.body, row.error, row.attempts) == ({}, "", 4)
    assert not arrivals.keep("x", "k", {"a": 3}, now=clock.now)  # it stays known


async def test_what_is_refused_for_ever_is_not_tried_again(database: Database) -> None:
    arrivals, flaky = Arrivals(database), Flaky(ConditionError("no such thing"))
    arrivals.keep("x", "k", {"a": 1}, now=NOON)
    assert await Work(arrivals, {"x": flaky}, clock=Clock()).work_off("x", NOBODY) == 1
    assert (row_of(database).error, row_of(database).body, arrivals.waiting()) == ("no such thing", {}, 0)


async def test_what_is_not_there_may_be_about_to_start(database: Database) -> None:
    clock, arrivals = Clock(), Arrivals(database)
    flaky = Flaky(*[NotFoundError("not there")] * NOT_FOUND_ATTEMPTS)
    arrivals.keep("x", "k", {"a": 1}, now=NOON)
    work = Work(arrivals, {"x": flaky}, clock=clock)
    for _ in range(NOT_FOUND_ATTEMPTS):
        assert await work.work_off("x", NOBODY) == 1
        clock.now += timedelta(minutes=5)
    assert (row_of(database).error, flaky.done) == ("not there", [])


async def test_one_source_waits_for_no_other(database: Database) -> None:
    arrivals, never = Arrivals(database), asyncio.Event()
    done = asyncio.Event()

    async def stuck(_: Mapping[str, Any], __: OutreachClient) -> None:
        await never.wait()

    async def quick(_: Mapping[str, Any], __: OutreachClient) -> None:
        done.set()

    work = Work(arrivals, {"stuck": stuck, "quick": quick}, clock=Clock(), look_every=60)
    running = asyncio.create_task(work.run(NOBODY))
    for source in ("stuck", "quick"):
        arrivals.keep(source, "k", {}, now=NOON)
        work.wake(source)
    await asyncio.wait_for(done.wait(), 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_a_dead_process_had_is_taken_up_again(database: Database) -> None:
    clock, arrivals, flaky = Clock(), Arrivals(database), Flaky()
    arrivals.keep("x", "k", {"a": 1}, now=NOON)
    assert arrivals.claim("x", now=NOON, within=LEASE) is not None  # and then it died
    work = Work(arrivals, {"x": flaky}, clock=clock)
    assert await work.work_off("x", NOBODY) == 0
    clock.now += LEASE
    assert await work.work_off("x", NOBODY) == 1
    assert flaky.done == [{"a": 1}]


def test_two_processes_never_have_the_same_post(database: Database) -> None:
    arrivals = Arrivals(database)
    for number in range(20):
        arrivals.keep("x", f"k-{number}", {}, now=NOON)

    def take() -> list[int]:
        taken = []
        while (one := arrivals.claim("x", now=NOON, within=LEASE)) is not None:
            taken.append(one.id)
        return taken

    taken = [id_ for some in at_once([take] * 4) for id_ in some]
    assert len(taken) == len(set(taken)) == 20


def test_what_was_done_long_ago_is_tidied_away(database: Database) -> None:
    arrivals = Arrivals(database)
    for key in ("done", "waiting"):
        arrivals.keep("x", key, {}, now=NOON)
    claimed = arrivals.claim("x", now=NOON, within=LEASE)
    assert claimed is not None
    arrivals.done(claimed.id, at=NOON)
    assert arrivals.forget(before=NOON) == 0
    assert arrivals.forget(before=NOON + timedelta(seconds=1)) == 1
    assert row_of(database).key == "waiting"


async def test_a_condition_becomes_an_outreach_and_its_news_reach_it(world: World) -> None:
    world.customer("c-1")
    condition = world.late("o-1").model_dump(mode="json")
    news = {"event": "condition_cleared", "trigger": condition["trigger"], "key": condition["key"], "event_id": "n-1"}
    for body in (condition, condition, news, news):
        await tell_temporal(body, world.client)
    handle = world.env.client.get_workflow_handle(f"outreach/{condition['trigger']}/{condition['key']}/1")
    assert (await asyncio.wait_for(handle.result(), 60))["ending"] in (Ending.CLEARED, Ending.NOTHING_TO_DO)


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    lazy = OutreachClient(await Client.connect(f"127.0.0.1:{free_port()}", data_converter=DATA_CONVERTER, lazy=True))
    news = {"event": "condition_cleared", "trigger": "late_delivery", "key": "k-1", "event_id": "n-1"}
    condition = {"trigger": "late_delivery", "key": "k-1", "detected_at": NOON, "audience": {"query": "late"}}
    for body in (news, condition):
        with pytest.raises(UnreachableError):
            await tell_temporal(body, lazy)


class Moody(Arrivals):
    """Is a table that cannot be read the first time."""

    tempers = 1

    def claim(self, source: str, *, now: datetime, within: timedelta) -> Arrival | None:
        """Fails once."""
        if self.tempers:
            self.tempers -= 1
            raise TimeoutError("no connection is free")
        return super().claim(source, now=now, within=within)


async def test_no_trouble_ends_the_work_for_good(database: Database) -> None:
    arrivals, done = Moody(database), asyncio.Event()

    async def quick(_: Mapping[str, Any], __: OutreachClient) -> None:
        done.set()

    arrivals.keep("x", "k", {}, now=NOON)
    running = asyncio.create_task(Work(arrivals, {"x": quick}, clock=Clock(), look_every=0.05).run(NOBODY))
    await asyncio.wait_for(done.wait(), 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
