"""Lives in which people do more than say yes once, to their end; each history is what tests/replay replays."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tellfirst.contract import Stage
from tellfirst.domain.message import AnswerKind
from tests.workflows.test_canary import always, first_few, go_on
from tests.workflows.test_corrections import draft, told
from tests.workflows.test_escalations import waiting
from tests.workflows.test_fallback import told as text_answered
from tests.workflows.test_hours import TABLE, zone_at
from tests.workflows.test_library import demanding
from tests.workflows.test_permits import Permitting
from tests.world import World

Story = Callable[[World], Awaitable[str]]


async def first_few_then_all(world: World) -> str:
    always(world)
    outreach = await first_few(world, 4, told=1)
    assert (await go_on(world, outreach)).accepted
    await world.until(lambda: len(world.sms.sent) == 4)
    return outreach


async def corrected(world: World) -> str:
    handle = await told(world, 1)
    assert (await draft(world, handle)).accepted
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == 2)
    return handle.id


async def escalated(world: World) -> str:
    handle = await waiting(world)
    await world.pass_time(handle, hours=4.5)
    await world.pass_time(handle, hours=2)
    await world.stage(handle, Stage.ESCALATED)
    await world.client.acknowledge(handle.id, by="eve")
    await world.until(lambda: [one.acknowledged_by for one in world.escalations.of(handle.id)] == ["eve"])
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    return handle.id


async def fallen_back(world: World) -> str:
    handle = await text_answered(world, AnswerKind.UNREACHED)
    await world.until(lambda: len(world.email.sent) == 1)
    return handle.id


async def in_two_waves(world: World) -> str:
    """One is told at once; the other waits for the morning, and there for the carrier's hours."""
    path: Path = world.folder / "hours.toml"
    path.write_text(TABLE.format(opens="08:00", closes="20:00"))
    await world.with_settings(hours=path)
    for number, hour in enumerate((12, 6), start=1):
        world.customer(f"c-{number}", timezone=zone_at(hour), addresses={"sms": f"+1415000000{number}"})
    handle = await world.start(world.late("o-1", "o-2"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    world.sms.answers = [AnswerKind.QUIET_HOURS]
    await world.pass_time(handle, hours=4)
    await world.until(lambda: len(world.sms.sent) == 2)
    return handle.id


async def permitting(world: World) -> tuple[Permitting, str]:
    made = Permitting(world)
    await world.with_settings()
    return made, await made.permit(f"p-{world.key}")


async def permitted(world: World) -> str:
    await permitting(world)
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.until(lambda: len(world.sms.sent) == 1)
    return handle.id


async def permit(world: World) -> str:
    _, about = await permitting(world)
    return about


async def library_change(world: World) -> str:
    return await (await demanding(world)).let(world.library["late_delivery"])


LIVES: dict[str, Story] = {
    one.__name__: one for one in (first_few_then_all, corrected, escalated, permitted, fallen_back, in_two_waves)
}
MATTERS: dict[str, Story] = {one.__name__: one for one in (permit, library_change)}


@pytest.mark.parametrize("name", sorted(LIVES))
async def test_a_life_ends_measured(world: World, name: str) -> None:
    world.contacts_known()
    handle = world.env.client.get_workflow_handle(await LIVES[name](world))
    assert (await world.finish(handle))["ending"] == "measured"  # read as what any client reads
    await world.keep_history(handle.id, f"lives/{name}")


@pytest.mark.parametrize("name", sorted(MATTERS))
async def test_a_matter_ends_approved(world: World, name: str) -> None:
    handle = world.env.client.get_workflow_handle(await MATTERS[name](world), result_type=str)
    assert await handle.result() == "approved"
    await world.keep_history(handle.id, f"lives/{name}")
