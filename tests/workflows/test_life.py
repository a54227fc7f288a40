"""The life of an outreach, days in seconds, on the real server."""

from datetime import timedelta

from tests.world import FAR, World


async def test_one_recipient_from_condition_to_recorded_outcome(world: World) -> None:
    world.customer("c-1")
    world.contacts.save([], source="helpdesk", through=FAR, now=FAR)
    handle = await world.start(world.late("o-1"))
    answer = await world.approve(handle.id)
    assert answer.accepted, answer
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.env.fast_forward(handle, timedelta(days=2, hours=1))
    assert len(world.sms.sent) == 2
    await world.env.fast_forward(handle)
    result = await handle.result()
    print(result)
    history = await world.history(handle)
    for e in history["events"]:
        print(e["eventId"], e["eventType"], len(str(e)))
    print(len(history["events"]), (await handle.describe()).raw_description.workflow_execution_info.history_size_bytes)
    assert result.ending == "measured"
