"""Corrections and what limits a first message: the first few, the tripwire and the frequency cap."""

from datetime import UTC, datetime

from tellfirst.contract import DecisionAnswer, Stage
from tellfirst.signing.documents import digest
from tests.signing.make import envelope
from tests.workflows.test_canary import always, first_few, go_on
from tests.workflows.test_corrections import Handle, draft, states
from tests.workflows.test_sending import people
from tests.world import World


async def by_both(world: World, outreach: str, revision: int) -> DecisionAnswer:
    """Approves a revision as Ana and then as Ben, and shows that Ana's word alone sends nothing."""
    await world.planned(outreach, revision)
    sent = len(world.sms.sent)
    first = world.envelope(outreach, revision=revision)
    assert (await world.client.submit(outreach, first)).status == "pending"
    assert len(world.sms.sent) == sent
    record = world.outreaches.revision(outreach, revision)
    assert record is not None
    second = record.proposal.decide("approve", "ben", datetime.now(UTC), prior=digest(first.document))
    return await world.client.submit(outreach, envelope(world.ben, second))


async def test_above_the_tripwire_a_correction_takes_two_people_and_leaves_to_all_at_once(world: World) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\ntripwire = 3\n"})
    handle: Handle = await world.start(world.late(*people(world, 4)))
    assert (await by_both(world, handle.id, 1)).status == "approved"
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert (await go_on(world, handle.id)).accepted
    await world.until(lambda: states(world, handle.id) == {"accepted": 4})
    assert (await draft(world, handle)).recipients == 4
    await world.planned(handle.id, revision=2)
    plan = world.outreaches.revision(handle.id, 2)
    assert plan is not None
    assert (plan.plan.needed, plan.plan.canary) == (2, 0), "they were told something wrong: nobody of them waits"
    assert (await by_both(world, handle.id, 2)).status == "approved"
    await world.until(lambda: states(world, handle.id) == {"accepted": 8})


async def test_while_the_others_wait_a_correction_reaches_the_first_few_alone(world: World) -> None:
    always(world)
    outreach = await first_few(world, told=2)
    handle = world.env.client.get_workflow_handle(outreach)
    told = {message.address for message in world.sms.sent}
    assert (await draft(world, handle)).recipients == 2
    await world.approve(outreach, revision=2)
    await world.until(lambda: len(world.sms.sent) == 4)
    assert {message.address for message in world.sms.sent[2:]} == told
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert (await go_on(world, outreach)).accepted
    await world.until(lambda: len(world.sms.sent) == 42)


async def test_a_full_frequency_cap_does_not_stop_a_correction(world: World) -> None:
    """Whoever was told wrongly hears so, however often others wrote to them since."""
    condition = world.late(*people(world, 2))
    handle: Handle = await world.start(condition)
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    other = await world.start(condition.model_copy(update={"key": f"{world.key}-2"}))
    await world.approve(other.id)
    await world.pass_time(other, hours=1.1)  # the other one leaves them an hour in between
    await world.until(lambda: len(world.sms.sent) == 4)
    await world.with_settings(cap_count=1)
    assert (await draft(world, handle)).recipients == 2
    await world.approve(handle.id, revision=2)
    await world.until(lambda: states(world, handle.id) == {"accepted": 4})
