"""The first few: told before all others, who leave only under a word of their own, and only in time."""

from datetime import UTC, datetime

from tellfirst.contract import DecisionAnswer, Stage, continue_id
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import Continue, decide
from tellfirst.store.matters import MatterRecord, Matters
from tests.signing.make import Signer, envelope
from tests.workflows.test_sending import people
from tests.world import World


def always(world: World, **more: str) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\ncanary = true\n", **more})


def matter(world: World, outreach: str) -> MatterRecord | None:
    assert world.app is not None
    return Matters(world.app.database).get(continue_id(outreach, 1))


async def first_few(world: World, count: int = 40, *, told: int | None = None) -> str:
    """Returns an outreach whose first few were told, and whose others wait."""
    handle = await world.start(world.late(*people(world, count)))
    await world.approve(handle.id)
    await world.until(lambda: matter(world, handle.id) is not None)
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    assert len(world.sms.sent) == (max(1, count // 20) if told is None else told)
    return handle.id


async def go_on(
    world: World, outreach: str, choice: Choice = "approve", *, signer: Signer | None = None, name: str = "ana"
) -> DecisionAnswer:
    found = matter(world, outreach)
    assert found is not None
    document = decide(found.proposal, choice, name, datetime.now(UTC), "because")
    return await world.client.submit(outreach, envelope(signer or world.ana, document.document()))


async def test_rest_leaves_once_it_is_let(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    found = matter(world, outreach)
    assert found is not None
    assert isinstance(found.proposal, Continue)
    assert (found.proposal.sent, found.proposal.rest) == (2, 38)
    view = await world.client.view(outreach)
    assert "about the other 38 recipients" in view.details
    assert "2 were told first" in view.details
    assert "`tellfirst continue`" in view.details
    answer = await go_on(world, outreach)
    assert (answer.accepted, answer.kind, answer.status) == (True, "continue", "approved")
    await world.until(lambda: len(world.sms.sent) == 40)
    assert len({message.send_id for message in world.sms.sent}) == 40
