"""What needs a person climbs its ladder, on the real server: every level, once, until somebody is on it."""

import json
from typing import Any

from temporalio.client import WorkflowHandle

from tellfirst import contract
from tellfirst.contract import Acknowledgement, Stage
from tellfirst.domain.message import AnswerKind
from tests.channels.test_webhook import SECRET, Receiver, receiver
from tests.workflows.test_library import demanding
from tests.world import World

__all__ = ["receiver"]

LADDER = ["Service lead", "Delivery experience", "Head of customer service"]
Handle = WorkflowHandle[Any, Any]


def told(world: World, about: str, kind: str) -> list[tuple[int, str]]:
    return [(notice.level, notice.to) for notice in world.notices.of(about) if notice.kind == kind]


async def waiting(world: World) -> Handle:
    """Returns an outreach that waits for a decision; it is overdue after four hours."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    return handle


async def sent(world: World) -> Handle:
    """Returns an outreach whose first message has left."""
    world.contacts_known()
    handle = await waiting(world)
    await world.approve(handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    return handle


async def attributes(handle: Handle) -> tuple[object, object]:
    described = (await handle.describe()).typed_search_attributes
    return described.get(contract.STAGE), described.get(contract.WAITING_ON)


async def test_an_overdue_approval_climbs_every_level_once_and_ends_with_the_approval(world: World) -> None:
    handle = await waiting(world)
    stages = []
    for hours in (4.5, 2, 4, 1):
        await world.pass_time(handle, hours=hours)
        stages.append(await attributes(handle))
    assert stages == [
        ("approval_overdue", "Service lead"),
        ("escalated", "Delivery experience"),
        ("escalated", "Head of customer service"),
        ("escalated", "Head of customer service"),
    ]
    assert told(world, handle.id, "overdue") == list(enumerate(LADDER, start=1))
    [seen] = (await world.client.view(handle.id)).escalations
    assert (seen.kind, seen.level, seen.levels, seen.next_at) == ("overdue", 3, 3, None)
    assert (await world.approve(handle.id)).accepted
    await world.stage(handle, Stage.AWAITING_WINDOW)
    [record] = world.escalations.of(handle.id)
    assert (record.level, record.acknowledged_by, record.ended_at is not None) == (3, "", True)


async def test_who_is_on_it_stops_the_climbing_and_is_seen(world: World) -> None:
    handle = await waiting(world)
    await world.pass_time(handle, hours=4.5)
    await world.client.acknowledge(handle.id, by="eve")
    await world.stage(handle, Stage.ESCALATED)
    await world.until(lambda: [one.acknowledged_by for one in world.escalations.open()] == ["eve"])
    await world.pass_time(handle, hours=12)
    assert told(world, handle.id, "overdue") == [(1, "Service lead")]
    assert await attributes(handle) == ("escalated", "eve")
    assert "Acknowledged by **eve**, " in (await world.client.view(handle.id)).details
    assert (await world.finish(handle)).ending == "expired"
    assert world.escalations.open() == []


async def test_what_was_due_while_no_worker_was_alive_is_told_when_one_is(world: World) -> None:
    handle = await waiting(world)
    await world.pass_time(handle, hours=4.5)
    assert told(world, handle.id, "overdue") == [(1, "Service lead")]
    await world.rest()
    await world.work()
    await world.pass_time(handle, hours=2)
    await world.until(lambda: len(told(world, handle.id, "overdue")) == 2)
    await world.rest()
    await world.work()
    await world.pass_time(handle, hours=4)
    await world.until(lambda: len(told(world, handle.id, "overdue")) == 3)
    assert told(world, handle.id, "overdue") == list(enumerate(LADDER, start=1)), "each level once, over three workers"


async def test_two_at_once_climb_each_for_itself_and_end_each_in_its_way(world: World) -> None:
    world.sms.answers = [AnswerKind.CONFIGURATION]
    handle = await waiting(world)
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    await world.pass_time(handle, hours=1)
    await world.client.escalate(handle.id, "negative_reply", note="three customers wrote back angrily", by="ingress")
    await world.until(lambda: len(world.escalations.open()) == 2)
    await world.pass_time(handle, hours=1.5)
    view = await world.client.view(handle.id)
    assert [(one.kind, one.level) for one in view.escalations] == [("attention", 2), ("negative_reply", 1)]
    assert view.stage == Stage.ESCALATED
    assert view.details.endswith("Also: negative reply.")
    await world.client.acknowledge(handle.id, by="eve", done=True)
    await world.until(lambda: [one.kind for one in world.escalations.open()] == ["attention"])
    assert (await world.client.view(handle.id)).stage == Stage.ESCALATED
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: world.escalations.open() == [])
    assert (await world.client.view(handle.id)).escalations == ()


async def test_a_cause_that_comes_again_after_it_had_ended_climbs_anew(world: World) -> None:
    world.sms.answers = [AnswerKind.CONFIGURATION]
    handle = await waiting(world)
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    await world.client.acknowledge(handle.id, by="eve")
    await world.stage(handle, Stage.ESCALATED)
    world.sms.answers = [AnswerKind.POLICY_BLOCK]
    world.customer("c-2", addresses={"sms": "+14150000002"})
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: [one.acknowledged_by for one in world.escalations.of(handle.id)][:1] == ["eve"])
    await world.until(lambda: world.escalations.open() == [])
    await world.client.escalate(handle.id, "raised", note="call the carrier")
    await world.until(lambda: told(world, handle.id, "raised") == [(1, "Service lead")])
    await world.client.acknowledge(handle.id, by="eve", done=True)
    await world.client.escalate(handle.id, "raised", note="call the carrier")
    await world.until(lambda: told(world, handle.id, "raised") == [(1, "Service lead")] * 2)


async def test_what_is_raised_again_and_again_is_told_once(world: World) -> None:
    handle = await waiting(world)
    for number in range(4):
        note = "three angry replies" if number < 2 else f"{number} angry replies, one from anna@example.com"
        await world.client.escalate(handle.id, "negative_reply", note=note)
    await world.until(lambda: "negative reply" in "".join(one.text for one in world.escalations.open()))
    await world.until(lambda: told(world, handle.id, "negative_reply"))
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert told(world, handle.id, "negative_reply") == [(1, "Service lead")]
    assert "@" not in json.dumps([one.model_dump(mode="json") for one in world.escalations.of(handle.id)])


async def test_unknown_messages_are_settled_by_a_person(world: World) -> None:
    world.sms.answers = [AnswerKind.AMBIGUOUS]
    world.contacts_known()
    handle = await waiting(world)
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    [one] = (await world.client.view(handle.id)).escalations
    assert one.kind == "unknown_sends"
    details = (await world.client.view(handle.id)).details
    assert "Of step 'initial' 1 message is unknown to us and to the provider" in details
    await world.client.acknowledge(handle.id, by="eve")
    await world.stage(handle, Stage.ESCALATED)
    await world.client.acknowledge(handle.id, by="eve", done=True)
    await world.stage(handle, Stage.AWAITING_WINDOW)


async def test_a_notice_that_is_not_delivered_holds_nothing_up_and_is_tried_again(
    world: World, receiver: Receiver
) -> None:
    path = world.folder / "notify.toml"
    path.write_text(f'[ways.oncall]\nwebhook = "{receiver.url}"\nsecret = "{SECRET}"\n[to]\n"*" = ["oncall"]\n')
    receiver.statuses = [500] * 4
    await world.with_settings(notify=path)
    handle = await sent(world)
    await world.client.escalate(handle.id, "raised", note="call the carrier")
    await world.until(lambda: len(receiver.seen) == 1)
    [(notice, [kept])] = world.notices.deliveries(handle.id).items()
    assert kept.delivered_at is None
    await world.client.acknowledge(handle.id, by="eve")
    assert (await world.finish(handle)).ending == "measured"
    assert world.escalations.open() == [], "what has closed needs nobody"
    await world.until(lambda: world.notices.deliveries(handle.id)[notice][0].delivered_at is not None)
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert [way.attempts for way in world.notices.deliveries(handle.id)[notice]] == [5]


async def test_a_matter_that_nobody_decides_climbs_too(world: World) -> None:
    librarians = await demanding(world)
    about = await librarians.propose(world.library["late_delivery"])
    handle = world.env.client.get_workflow_handle(about, result_type=str)
    await world.pass_time(handle, days=3, hours=1)
    await world.until(lambda: told(world, about, "overdue") == [(1, "Service lead")])
    await handle.signal(contract.ESCALATION_ACKNOWLEDGED, Acknowledgement(event_id="1", by="lia"))
    await world.until(lambda: [one.acknowledged_by for one in world.escalations.of(about)] == ["lia"])
    await world.pass_time(handle, days=1)
    assert await attributes(handle) == ("escalated", "lia")
    assert told(world, about, "overdue") == [(1, "Service lead")]
    assert (await librarians.give(about, "lia", "reject")).accepted
    await world.until(lambda: world.escalations.open() == [])
