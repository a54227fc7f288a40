"""Upkeep: whatever a provider never reported is asked for, in rounds that go on."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.upkeep import AGES, GIVE_UP_AFTER, UpkeepReport, UpkeepRequest
from tellfirst import contract
from tellfirst.domain.message import SendState
from tellfirst.store.tables import ReceiptRow
from tellfirst.store.tables_arrivals import ArrivalRow
from tests.web.rows import put_sends, state_of
from tests.world import World
from workflows.upkeep import EVERY, UpkeepState


def accepted(world: World, count: int, *, ago: timedelta) -> list[str]:
    ids = [f"{n:032x}" for n in range(count)]
    put_sends(world.app.database, [(id_, "twilio", f"SM{id_}") for id_ in ids], settled_at=datetime.now(UTC) - ago)
    world.sms.name = "twilio"
    return ids


async def round_of(world: World, since: datetime | None = None) -> UpkeepReport:
    """Does one round, by default the one that ends now."""
    since = since or datetime.now(UTC) - EVERY
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    request = UpkeepRequest(since=since, until=since + EVERY)
    return await asyncio.to_thread(environment.run, world.app.upkeep.upkeep, request)


async def test_what_was_never_reported_is_asked_for(world: World) -> None:
    ids = accepted(world, 20, ago=AGES[0] + timedelta(minutes=1))
    world.sms.statuses = {f"SM{ids[0]}": ("delivered", ""), f"SM{ids[1]}": ("undelivered", "30005")}
    report = await round_of(world)
    assert (report.asked, report.answered) == (20, 2)
    assert state_of(world.app.database, ids[0]) == ("delivered", "receipt")
    assert state_of(world.app.database, ids[1]) == ("undelivered", "receipt:30005")
    assert state_of(world.app.database, ids[2]) == ("accepted", "")
    with world.app.database.read() as session:
        assert len(session.exec(select(ReceiptRow)).all()) == 2


async def test_each_message_is_asked_about_a_few_times_and_no_more(world: World) -> None:
    accepted(world, 1, ago=timedelta())
    begun = datetime.now(UTC) - EVERY / 2
    due = [round(age / EVERY) for age in AGES]
    around = sorted({0, *(number + near for number in due for near in (-1, 0, 1))})
    assert [n for n in around if (await round_of(world, begun + n * EVERY)).asked] == due


async def test_a_provider_that_says_nothing_is_left_alone(world: World) -> None:
    accepted(world, 500, ago=AGES[0] + timedelta(minutes=1))
    assert (await round_of(world)).asked <= GIVE_UP_AFTER + world.sms.in_flight


async def test_what_came_before_its_provider_id_was_known_is_judged_again(world: World) -> None:
    (id_,) = accepted(world, 1, ago=AGES[0] + timedelta(minutes=1))
    with world.app.database.write() as session:
        session.add(
            ReceiptRow(provider="twilio", provider_id=f"SM{id_}", status="delivered", received_at=datetime.now(UTC))
        )
    assert (await round_of(world)).answered == 0
    assert state_of(world.app.database, id_)[0] == SendState.DELIVERED


async def test_what_is_known_of_recipients_goes_a_year_after_the_end(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ids = ("ended", "young", "open")
    for id_ in ids:
        assert world.outreaches.claim(id_, world.late(key=f"{world.key}-{id_}"), run="r", now=datetime.now(UTC))
    for id_, days in (("ended", 366), ("young", 364)):
        at = datetime.now(UTC) - timedelta(days=days)
        world.outreaches.close(id_, ending="measured", reason="", at=at)
    with caplog.at_level(logging.INFO):
        report = await round_of(world)
    assert (report.emptied.outreaches, report.emptied.found) == (1, 1)
    assert "personal data removed for its age: 0 recipients, 1 found, 0 events, 1 outreaches" in caplog.text
    assert [[bool(s.facts) for s in next(world.outreaches.subjects(id_))] for id_ in ids] == [[False], [True], [True]]


async def test_one_life_goes_round_after_round(world: World) -> None:
    ids = accepted(world, 1, ago=timedelta())
    world.sms.statuses = {f"SM{ids[0]}": ("delivered", "")}
    with world.app.database.write() as session:
        old = datetime.now(UTC) - timedelta(days=60)
        session.add(ArrivalRow(source="x", key="k", body={}, received_at=old, next_at=old, done_at=old))
    handle = await world.env.client.start_workflow(
        contract.UPKEEP,
        UpkeepState(since=datetime.now(UTC), rounds=2),
        id=f"upkeep-{world.key}",
        task_queue=contract.QUEUE,
    )
    await world.pass_time(handle, hours=2)
    await world.until(lambda: state_of(world.app.database, ids[0])[0] == SendState.DELIVERED)
    with world.app.database.read() as session:
        assert session.exec(select(ArrivalRow)).all() == []
    assert (await handle.describe()).run_id != handle.first_execution_run_id
    await world.env.client.get_workflow_handle(handle.id).terminate()
