"""An outreach whose workflow is gone goes on from the records, and one whose records are gone tells nobody."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import delete
from temporalio.client import WorkflowHandle

from tellfirst.contract import Result, Stage
from tellfirst.store.restarts import Restarts
from tellfirst.store.tables import ControlRow, OutreachRow, RevisionRow, SubjectRow
from tests.workflows.test_canary import always, first_few, go_on
from tests.workflows.test_corrections import told
from tests.workflows.test_life import admit
from tests.workflows.test_sending import people
from tests.world import World

Handle = WorkflowHandle[Any, Any]


async def restarted(world: World, outreach: str) -> Handle:
    """Loses the workflow of an outreach, and starts it anew."""
    assert world.app is not None
    handle = world.env.client.get_workflow_handle(outreach, result_type=Result)
    await handle.terminate("lost")
    condition = Restarts(world.app.database).release(outreach, by="eve", at=datetime.now(UTC))
    with world.env.with_time_skipping_disabled():
        assert await world.client.restart(condition)
        assert not await world.client.restart(condition), "it runs"
    return handle


def texts(world: World) -> int:
    """Returns how many messages left, each of them once."""
    assert max(Counter(message.send_id for message in world.sms.sent).values(), default=1) == 1
    return len(world.sms.sent)


async def test_what_waits_for_approval_waits_on(world: World) -> None:
    handle = await world.start(world.late(*people(world, 3)))
    await world.planned(handle.id)
    await restarted(world, handle.id)
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    await world.approve(handle.id)
    await world.until(lambda: texts(world) == 3)


async def test_promises_are_kept_once_and_it_is_measured(world: World) -> None:
    world.contacts_known()
    handle = await told(world, 3)
    await restarted(world, handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    assert texts(world) == 3
    await world.pass_time(handle, days=3)
    await world.until(lambda: texts(world) == 6)
    await restarted(world, handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    result = await world.finish(handle)
    assert (result.ending, result.accepted) == ("measured", 6)
    assert texts(world) == 6


async def test_a_word_about_the_rest_holds(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    handle = await restarted(world, outreach)
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert texts(world) == 2
    assert (await go_on(world, outreach)).accepted
    await world.until(lambda: texts(world) == 40)
    await restarted(world, outreach)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    assert texts(world) == 40


async def test_what_is_paused_stays_so_until_it_is_resumed(world: World) -> None:
    handle = await world.start(world.late(*people(world, 2)))
    await world.planned(handle.id)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    await restarted(world, handle.id)
    await world.stage(handle, Stage.PAUSED)
    await world.approve(handle.id)
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: texts(world) == 2)


async def test_every_revision_goes_on(world: World) -> None:
    names = people(world, 4)
    handle = await world.start(admit(world, names[:2]))
    await world.approve(handle.id)
    await world.until(lambda: texts(world) == 2)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)
    await restarted(world, handle.id)
    await world.status(handle, 2, "pending")
    await world.approve(handle.id, revision=2)
    await world.until(lambda: texts(world) == 4)
    await world.stage(handle, Stage.AWAITING_WINDOW)


@pytest.mark.parametrize("step", ["a page", "a look"])
async def test_against_an_empty_database_nobody_is_told_and_a_person_is_needed(world: World, step: str) -> None:
    assert world.app is not None
    if step == "a page":
        handle = await world.start(world.late(*people(world, 2)))
        await world.planned(handle.id)
        world.controls.pause_all("p", by="eve", at=datetime.now(UTC))
        await world.approve(handle.id)
    else:
        handle = await told(world, 2)
    before = texts(world)
    with world.app.database.write() as session:
        for row in (RevisionRow, SubjectRow, OutreachRow, ControlRow):
            session.execute(delete(row))
    await world.pass_time(handle, days=2)
    await world.stuck(handle)
    assert texts(world) == before
