"""The first few: told before all others, who leave only under a word of their own, and only in time."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from activities.canary import ContinueGate
from activities.playbooks import PlannedPlaybooks
from tellfirst import contract
from tellfirst.contract import DecisionAnswer, Result, Stage, continue_id
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import Continue, decide
from tellfirst.store.engine import Database
from tellfirst.store.matters import MatterRecord, Matters
from tellfirst.store.tables import RecipientRow
from tests.signing.make import Signer, ed25519, envelope
from tests.workflows.test_sending import people
from tests.world import World


def always(world: World, **more: str) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\ncanary = true\n", **more})


def matter(world: World, outreach: str) -> MatterRecord | None:
    assert world.app is not None
    return Matters(world.app.database).get(continue_id(outreach, 1))


class OnceRead(Matters):
    """Reads a row as it stood for a moment."""

    def __init__(self, database: Database, then: MatterRecord) -> None:
        super().__init__(database)
        self._then = then

    def get(self, about: str) -> MatterRecord | None:
        return self._then


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


async def test_nobody_behind_the_first_few_is_told_without_it(world: World) -> None:
    """Not by a raw signal, not by a status in the database, not by somebody who may not."""
    always(world)
    outreach = await first_few(world)
    stranger = ed25519()
    assert (await go_on(world, outreach, signer=stranger)).code == "unknown_key"
    assert (await go_on(world, outreach, signer=world.ben, name="ana")).code == "wrong_person"
    found = matter(world, outreach)
    assert found is not None
    more = found.proposal.model_copy(update={"rest": 39})
    document = decide(more, "approve", "ana", datetime.now(UTC))
    assert (await world.client.submit(outreach, envelope(world.ana, document.document()))).code == "stale_content"
    again = world.envelope(outreach)
    assert (await world.client.submit(outreach, again)).accepted, "the first approval, left again"
    Matters(world.app.database).set_status(found.about, "approved", at=datetime.now(UTC))
    await world.client.tell(outreach, "condition_changed")
    await world.stage(world.env.client.get_workflow_handle(outreach), Stage.AWAITING_APPROVAL)
    assert len(world.sms.sent) == 2


@pytest.mark.parametrize("given", ["nothing", "a status", "another root", "a revoked key"])
async def test_dispatch_itself_holds_the_rest_back(world: World, given: str) -> None:
    """A bug in a workflow, or a workflow of somebody else, sends nothing."""
    always(world)
    outreach = await first_few(world)
    found, now = matter(world, outreach), datetime.now(UTC)
    assert found is not None
    assert world.app is not None
    matters, code = Matters(world.app.database), "not_continued:not_approved"
    if given == "a status":
        matters.set_status(found.about, "approved", at=now)
    if given == "another root":
        matters.set_status(found.about, "expired", at=now)
        matters.open(found.proposal.model_copy(update={"audience_root": "0" * 64}), "", now)
        document = decide(matters.get(found.about).proposal, "approve", "ana", now)
        assert (await world.client.submit(outreach, envelope(world.ana, document.document()))).accepted
        code = "not_continued:stale_content"
    if given == "a revoked key":
        await world.without(contract.send_queue("sms"))
        assert (await go_on(world, outreach, signer=world.ben, name="ben")).accepted
        text, mine = world.registry.read_text(), f'key = "{world.ben.line}"\n'
        world.registry.write_text(text.replace(mine, f"{mine}revoked = 2020-01-01T00:00:00Z\n"))
        await world.rest()
        await world.work()
        code = "not_continued:key_revoked"
    revision = world.outreaches.revision(outreach, 1)
    gate = ContinueGate(
        approvals=world.app.decisions._continues._approvals,
        matters=matters,
        recipients=world.recipients,
        playbooks=PlannedPlaybooks(),
    )
    assert gate.refusal(revision, 0, revision.plan.initial, now=now) == ""
    assert gate.refusal(revision, 1, revision.plan.initial, now=now) == code
    if given == "another root":
        # Somebody who changes the row between two readings shows the one that fits and has the other judged.
        gate._matters = OnceRead(world.app.database, found.model_copy(update={"status": "approved"}))
        assert gate.refusal(revision, 1, revision.plan.initial, now=now) == code
    if given in ("another root", "a revoked key"):
        handle = world.env.client.get_workflow_handle(outreach)
        await world.until(lambda: [e for e in world.escalations.of(handle.id) if f"decision:{code}" in e.text])
    assert len(world.sms.sent) == 2


async def test_another_lets_it_go_when_the_first_key_was_revoked(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    await world.without(contract.send_queue("sms"))
    assert (await go_on(world, outreach, signer=world.ben, name="ben")).accepted
    text, mine = world.registry.read_text(), f'key = "{world.ben.line}"\n'
    world.registry.write_text(text.replace(mine, f"{mine}revoked = 2020-01-01T00:00:00Z\n"))
    await world.rest()
    await world.work()
    await world.until(lambda: world.escalations.of(outreach))
    assert len(world.sms.sent) == 2
    assert (await go_on(world, outreach)).accepted
    await world.until(lambda: len(world.sms.sent) == 40)


async def test_left_at_the_first_few_the_others_stay_untold(world: World) -> None:
    always(world)
    world.contacts_known()
    outreach = await first_few(world)
    answer = await go_on(world, outreach, "reject")
    assert (answer.accepted, answer.status) == (True, "rejected")
    assert (await go_on(world, outreach)).code == "already_decided"
    handle = world.env.client.get_workflow_handle(outreach, result_type=Result)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    assert world.recipients.set_aside(outreach, 1) == {"not_continued": 38}
    await world.pass_time(handle, days=2)
    await world.until(lambda: len(world.sms.sent) == 4)
    assert Counter(m.address for m in world.sms.sent).most_common(1)[0][1] == 2, "promises go to those who were told"
    result = await world.finish(handle)
    assert (result.ending, result.accepted) == ("measured", 4)


async def test_silence_lets_nobody_go(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    handle = world.env.client.get_workflow_handle(outreach)
    await world.pass_time(handle, hours=3)
    told = [n.kind for n in world.notices.of(outreach)]
    assert told.count("reminder") == 2, "one when it is asked, one after two hours"
    await world.pass_time(handle, hours=2)
    await world.stage(handle, Stage.APPROVAL_OVERDUE)
    assert "`tellfirst continue`" in (await world.client.view(outreach)).details
    await world.pass_time(handle, days=2)
    found = matter(world, outreach)
    assert found is not None
    assert found.status == "expired"
    assert world.recipients.set_aside(outreach, 1) == {"not_continued": 38}
    assert (await go_on(world, outreach)).code == "already_decided"
    await world.until(lambda: len(world.sms.sent) == 4)
    assert len({m.address for m in world.sms.sent}) == 2


async def test_what_is_over_asks_nobody_any_more(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    await world.client.tell(outreach, "condition_cleared")
    await world.until(lambda: len(world.sms.sent) == 4)
    assert len({m.address for m in world.sms.sent}) == 2
    await world.until(lambda: matter(world, outreach).status == "cleared")
    await world.stage(world.env.client.get_workflow_handle(outreach), Stage.AWAITING_WINDOW)


async def test_aborted_while_the_others_wait(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    await world.client.tell(outreach, "abort", note="enough")
    await world.until(lambda: matter(world, outreach).status == "aborted")
    assert (await go_on(world, outreach)).code == "already_decided"
    assert len(world.sms.sent) == 2


async def test_each_wave_has_its_own_start(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    handle = world.env.client.get_workflow_handle(outreach)
    await world.pass_time(handle, hours=1)
    await go_on(world, outreach)
    await world.until(lambda: len(world.sms.sent) == 40)
    assert world.app is not None
    with world.app.database.read() as session:
        rows = session.exec(select(RecipientRow).where(RecipientRow.outreach_id == outreach)).all()
    starts = Counter(row.t0 for row in rows)
    assert sorted(starts.values()) == [2, 38]
    assert max(starts) - min(starts) >= timedelta(hours=1)


async def test_above_the_tripwire_it_takes_one_more_person_and_goes_to_few_first(world: World) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\ntripwire = 39\n"})
    handle = await world.start(world.late(*people(world, 40)))
    await world.planned(handle.id)
    first = world.envelope(handle.id)
    assert (await world.client.submit(handle.id, first)).status == "pending"
    plan = world.outreaches.revision(handle.id, 1)
    assert (plan.plan.needed, plan.plan.canary) == (2, 1)
    assert world.sms.sent == []
    second = plan.proposal.decide("approve", "ben", datetime.now(UTC), prior=digest(first.document))
    assert (await world.client.submit(handle.id, envelope(world.ben, second))).status == "approved"
    await world.until(lambda: matter(world, handle.id) is not None)
    assert len(world.sms.sent) == 2
    await go_on(world, handle.id)
    await world.until(lambda: len(world.sms.sent) == 40)


async def test_a_worker_that_dies_meanwhile_changes_nothing(world: World) -> None:
    always(world)
    outreach = await first_few(world)
    found = matter(world, outreach)
    assert found is not None
    document = decide(found.proposal, "approve", "ana", datetime.now(UTC))
    await world.rest()
    for _ in range(2):
        await world.client.decide(outreach, envelope(world.ana, document.document()))
    await world.work()
    await world.until(lambda: len(world.sms.sent) == 40)
    assert Counter(m.send_id for m in world.sms.sent).most_common(1)[0][1] == 1
