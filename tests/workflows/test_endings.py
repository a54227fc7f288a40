"""Every way an outreach can end, on the real server; each history is what tests/replay replays."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.contract import Result, Stage
from tellfirst.domain.condition import Audience, Condition
from tests.world import World

Story = Callable[[World], Awaitable[tuple[str, Result]]]


async def measured(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    assert (await world.approve(handle.id)).accepted
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.pass_time(handle, days=2, hours=1)
    await world.until(lambda: len(world.sms.sent) == 2)  # the promised update
    return handle.id, await world.finish(handle)


async def rejected(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    answer = await world.client.submit(handle.id, world.envelope(handle.id, "reject"))
    assert answer.accepted
    return handle.id, await world.finish(handle)


async def expired(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.pass_time(handle, hours=3)
    assert [n.kind for n in world.notices.of(handle.id)] == ["reminder"]
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    await world.pass_time(handle, hours=2)
    assert [n.kind for n in world.notices.of(handle.id)] == ["reminder", "overdue"]
    await world.stage(handle, Stage.APPROVAL_OVERDUE)
    return handle.id, await world.finish(handle)


async def cleared(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.client.tell(handle.id, "condition_cleared")
    return handle.id, await world.finish(handle)


async def resolved(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: len(world.sms.sent) == 2)
    assert "arrived" in world.sms.sent[1].rendered.body
    result = await world.finish(handle)
    assert len(world.sms.sent) == 2, "no update after it is over"
    return handle.id, result


async def aborted(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.client.tell(handle.id, "abort", note="wrong data")
    return handle.id, await world.finish(handle)


async def aborted_late(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.client.tell(handle.id, "abort", note="the carrier told everyone")
    result = await world.finish(handle)
    assert len(world.sms.sent) == 1, "nothing after the abort"
    return handle.id, result


async def nothing_to_do(world: World) -> tuple[str, Result]:
    world.customer("c-2", addresses={})
    world.customer("c-3", opted_out=("*",))
    handle = await world.start(world.late("o-1", "o-2", "o-3"))
    result = await world.finish(handle)
    assert world.recipients.verdicts(handle.id, 1) == {
        "unknown_customer": 1,
        "no_usable_address": 1,
        "opted_out": 1,
    }
    return handle.id, result


async def too_old(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    handle = await world.start(world.late("o-1", detected_at=datetime.now(UTC) - timedelta(days=30)))
    return handle.id, await world.finish(handle)


async def duplicate(world: World) -> tuple[str, Result]:
    world.customer("c-1")
    first = await world.start(world.late("o-1"))
    await world.planned(first.id)
    with world.env.with_time_skipping_disabled():
        other = await world.env.client.start_workflow(
            "Outreach", world.late("o-1"), id=f"another/{world.key}", task_queue="outreach", result_type=Result
        )
    result: Result = await other.result()
    assert (await first.describe()).status is not None
    assert world.outreaches.get(other.id) is None
    return other.id, result


async def refused(world: World) -> tuple[str, Result]:
    handle = await world.start(Condition(**{**world.late("o-1").model_dump(), "trigger": "lost_in_space"}))
    return handle.id, await world.finish(handle)


async def failed(world: World) -> tuple[str, Result]:
    """The audience stands in a source that nobody can read for six hours."""
    given = world.late("o-1").model_dump()
    given.update(trigger="service_disruption", subjects=(), facts={"component": "API", "region": "eu"})
    condition = Condition(**given | {"audience": Audience(query="affected_region", parameters={"region": "eu"})})
    handle = await world.start(condition)
    return handle.id, await world.finish(handle)


STORIES: dict[str, tuple[Story, str, str]] = {
    "measured": (measured, "measured", ""),
    "rejected": (rejected, "rejected", ""),
    "expired": (expired, "expired", "nobody decided in time; silence is not consent"),
    "cleared": (cleared, "cleared", "the condition ended before anyone was told"),
    "resolved": (resolved, "measured", ""),
    "aborted": (aborted, "aborted", "wrong data"),
    "aborted_late": (aborted_late, "measured", "the carrier told everyone"),
    "nothing_to_do": (nothing_to_do, "nothing_to_do", "nobody_to_tell"),
    "too_old": (too_old, "nothing_to_do", "too_old"),
    "duplicate": (duplicate, "duplicate", "another outreach has claimed this condition"),
    "refused": (refused, "refused", "unknown_trigger"),
    "failed": (failed, "failed", "Source"),
}


@pytest.mark.parametrize("name", STORIES)
async def test_an_ending(world: World, name: str) -> None:
    story, ending, reason = STORIES[name]
    if name == "failed":
        await world.with_source(f"sqlite:///{world.folder}/absent.db")
    outreach, result = await story(world)
    assert (result.ending, result.reason) == (ending, reason)
    recorded = world.outreaches.get(outreach)
    if name not in ("duplicate", "refused"):
        assert recorded is not None
        assert (recorded.ending, recorded.reason) == (ending, reason)
    if ending != "measured":
        assert not world.sms.sent
    await world.keep_history(outreach, name)
