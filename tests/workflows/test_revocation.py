"""Whoever stood behind a message can stop standing behind it: what has not left by then stays."""

import asyncio

from tellfirst.contract import Stage
from tests.workflows.test_sending import people
from tests.world import World


async def test_a_key_revoked_while_a_page_leaves_stops_the_rest_of_it(world: World) -> None:
    """What is in flight is one micro-batch; the rest waits until another person approves, and nobody is told twice."""
    world.sms.in_flight = 4
    gate = asyncio.Event()
    world.sms.wait_after = (8, gate)
    handle = await world.start(world.late(*people(world, 40)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 8 and world.sms.busy)
    text, mine = world.registry.read_text(), f'key = "{world.ana.line}"\n'
    world.registry.write_text(text.replace(mine, f"{mine}revoked = 2020-01-01T00:00:00Z\n"))
    gate.set()
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert len(world.sms.sent) == 12, "the micro-batch that was on its way, and no other"
    assert "decision:key_revoked" in (await world.client.view(handle.id)).details
    again = await world.client.submit(handle.id, world.envelope(handle.id, signer=world.ben, approver="ben"))
    assert again.accepted, again
    await world.until(lambda: len(world.sms.sent) == 40)
    assert len({message.address for message in world.sms.sent}) == 40
