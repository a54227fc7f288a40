"""What is urgent is not kept waiting by a campaign: neither behind its pages, nor behind its turn on a slow channel."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio.client import WorkflowHandle

from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import Answer, Outbound
from tests.workflows.test_sending import people, states
from tests.world import FakeProvider, World


class Stuck(FakeProvider):
    """Takes for ever over parcels, and says at once that it accepts everything else."""

    def __init__(self, until: asyncio.Event) -> None:
        super().__init__("sms")
        self._until, self.waiting = until, 0

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        if "order" in batch[0].rendered.body:
            self.waiting += 1
            await self._until.wait()
        return await super().send(batch, now=now)


async def outage(world: World, *customers: str) -> WorkflowHandle[Any, Any]:
    world.override("service_disruption", {'approvers = ["Duty manager"]': 'approvers = ["Service lead"]'})
    subjects = tuple(Subject(key=f"account-{ref}", customer=ref, facts={}) for ref in customers)
    given = world.late("o-1").model_dump() | {"trigger": "service_disruption", "subjects": subjects}
    facts = {"component": "API", "region": "eu"}
    handle = await world.start(Condition(**given | {"key": f"{world.key}-outage", "facts": facts}))
    await world.approve(handle.id)
    return handle


async def test_an_outage_is_told_while_a_campaign_has_taken_every_slot(world: World) -> None:
    gate = asyncio.Event()
    stuck = world.sms = Stuck(gate)
    await world.with_settings(page_size=1)
    campaign = await world.start(world.late(*people(world, 8)))
    await world.approve(campaign.id)
    await world.until(lambda: stuck.waiting == 4)  # as many pages as one process sends at once
    world.customer("c-out", addresses={"sms": "+14155559999"})
    urgent = await outage(world, "c-out")
    await world.until(lambda: states(world, urgent.id) == {"accepted": 1}, 20)
    assert states(world, campaign.id)["intent"] == 4, "none of the campaign has left meanwhile"
    gate.set()
    await world.until(lambda: states(world, campaign.id) == {"accepted": 8})


async def test_on_a_slow_channel_the_next_turn_is_the_outages(world: World) -> None:
    await world.with_settings(sms_rate=1.0, page_size=5)
    campaign = await world.start(world.late(*people(world, 40)))
    await world.approve(campaign.id)
    await world.until(lambda: len(world.sms.sent) >= 1)
    for n in range(3):
        world.customer(f"c-out-{n}", addresses={"sms": f"+1415555999{n}"})
    urgent = await outage(world, *(f"c-out-{n}" for n in range(3)))
    await world.until(lambda: states(world, urgent.id) == {"accepted": 3})
    told = ["order" in message.rendered.body for message in world.sms.sent]
    first = told.index(False)
    assert told[first : first + 3] == [False] * 3, "and all of them before the campaign goes on"
    assert len(told) - told.count(False) < 40
    await world.client.tell(campaign.id, "abort", note="enough")
