"""Where an outreach could stay for ever, or lose a word: whatever stops it, it is told to people and ends."""

import asyncio
import sqlite3
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType

from tellfirst.contract import Result
from tellfirst.domain.condition import Audience, Condition
from tellfirst.domain.message import AnswerKind
from tellfirst.signing.kinds import Continue
from tellfirst.store.customers import CustomerRecord
from tellfirst.store.matters import Matters
from tests.signing.make import Signer
from tests.workflows.test_canary import always, first_few, go_on, matter
from tests.workflows.test_changes import broken, sending
from tests.workflows.test_corrections import draft, told
from tests.workflows.test_life import admit
from tests.workflows.test_sending import people, states, subjects
from tests.world import World


def revoke(world: World, signer: Signer) -> None:
    text, mine = world.registry.read_text(), f'key = "{signer.line}"\n'
    world.registry.write_text(text.replace(mine, f"{mine}revoked = 2020-01-01T00:00:00Z\n"))


async def reject(world: World, outreach: str) -> None:
    """Rejects the first revision as Ben, which he may after the key it was approved with was revoked."""
    answer = await world.client.submit(outreach, world.envelope(outreach, "reject", signer=world.ben, approver="ben"))
    assert (answer.accepted, answer.status) == (True, "rejected"), answer


async def ended(world: World, outreach: str) -> Result:
    handle = world.env.client.get_workflow_handle(outreach, result_type=Result)
    return await asyncio.wait_for(world.finish(handle), 60)


async def test_growth_that_cannot_be_planned_waits_for_a_person_beyond_the_window(world: World) -> None:
    names = people(world, 2)
    world.contacts_known()
    handle = await world.start(admit(world, names[:1]))
    await world.approve(handle.id)
    await world.pass_time(handle, days=3)
    await world.until(lambda: len(world.sms.sent) == 2)  # nothing is promised any more
    admit(world, names)
    with broken(world, "BEFORE INSERT ON revisions WHEN NEW.number = 2"):
        await world.client.tell(handle.id, "condition_changed")
        await world.pass_time(handle, hours=7)
        await world.stuck(handle)
        await world.pass_time(handle, days=9)
        await world.stuck(handle)
    await world.client.pause(handle.id, paused=False)
    await world.planned(handle.id, revision=2)
    assert (await ended(world, handle.id)).ending == "measured"


async def test_whoever_was_drawn_by_a_wave_that_failed_is_told_with_the_others(world: World) -> None:
    many = [CustomerRecord(id=f"c-{n}", addresses={"sms": f"+1415{n:07d}"}) for n in range(501)]
    world.customers.save(many, now=datetime.now(UTC), source="test")
    world.sms.in_flight, names = 100, subjects(501)
    handle = await world.start(admit(world, names))
    await world.planned(handle.id)
    with broken(world, "BEFORE UPDATE ON recipients WHEN NEW.page = 1 AND NEW.arm IS NOT NULL"):
        await world.approve(handle.id)
        await world.pass_time(handle, hours=7)
        await world.stuck(handle)
    assert world.recipients.wave(handle.id, 1).treated == 500
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 501)


async def test_a_draft_outlives_trouble_with_planning_it(world: World) -> None:
    handle = await told(world, 1)
    with broken(world, "BEFORE INSERT ON revisions WHEN NEW.number = 2"):
        assert (await draft(world, handle)).accepted
        await world.pass_time(handle, hours=7)
        await world.stuck(handle)
    await world.client.pause(handle.id, paused=False)
    await world.planned(handle.id, revision=2)


async def test_whoever_rejects_a_message_leaves_the_others_untold_too(world: World) -> None:
    always(world)
    world.contacts_known()
    outreach = await first_few(world)
    revoke(world, world.ana)
    await reject(world, outreach)
    found = matter(world, outreach)
    assert found is not None
    assert found.status == "rejected"
    assert world.recipients.set_aside(outreach, 1) == {"not_continued": 38}
    result = await ended(world, outreach)
    assert (result.ending, result.accepted, len(world.sms.sent)) == ("measured", 2, 2)


async def test_what_was_leaving_when_it_was_rejected_keeps_nobody_waiting(world: World) -> None:
    world.contacts_known()
    world.sms.in_flight, world.sms.answers = 1, [AnswerKind.AMBIGUOUS]
    handle = await world.start(world.late(*people(world, 3)))
    async with sending(world, handle):
        revoke(world, world.ana)
    await world.stuck(handle)
    await reject(world, handle.id)
    await world.client.pause(handle.id, paused=False)
    await world.pass_time(handle, minutes=5)
    await world.until(lambda: states(world, handle.id) == {"unknown": 1, "planned": 2})
    await world.until(lambda: [e for e in world.escalations.of(handle.id) if e.kind == "unknown_sends"])
    assert (await ended(world, handle.id)).ending == "measured"


async def test_a_word_about_the_rest_that_comes_before_it_is_asked_for_is_heard(world: World) -> None:
    """A worker that dies after opening it opens it again, and whoever was quick has decided meanwhile."""
    always(world)
    handle = await world.start(world.late(*people(world, 40)))
    async with sending(world, handle):
        revision = world.outreaches.revision(handle.id, 1)
        assert revision is not None
        asked = Continue(
            environment=world.settings.environment,
            decide_by=revision.plan.initial.not_after.replace(microsecond=0),
            valid_until=revision.proposal.valid_until,
            nonce="0" * 32,
            outreach=handle.id,
            revision=1,
            audience_root=revision.proposal.audience_root,
            sent=2,
            rest=38,
        )
        assert world.app is not None
        Matters(world.app.database).open(asked, "", datetime.now(UTC))
        assert (await go_on(world, handle.id)).accepted
    await world.until(lambda: len(world.sms.sent) == 40)


async def test_a_word_that_comes_while_a_run_ends_is_not_lost(world: World) -> None:
    """What people are still to be told keeps a run a moment longer, also one that goes on as a new one."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("CREATE TRIGGER mute BEFORE INSERT ON escalations BEGIN SELECT RAISE(ABORT, 'no'); END")
    await world.client.escalate(handle.id, "raised", note="look at this")
    await world.client.decide(handle.id, world.envelope(handle.id, "reject"))
    await world.until(lambda: world.outreaches.get(handle.id).ending == "rejected")
    with broken(world, "BEFORE INSERT ON decisions"):
        second = world.envelope(handle.id, "reject", signer=world.ben, approver="ben")
        await world.client.decide(handle.id, second)
        came = 0
        async for event in handle.fetch_history_events(wait_new_event=True):
            came += event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
            if came == 3 and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
                break
        with sqlite3.connect(world.folder / "tellfirst.db") as database:
            database.execute("DROP TRIGGER mute")
        await world.until(lambda: world.escalations.of(handle.id))
    assert (await handle.result()).ending == "rejected"
    assert [one.approver for one in world.decisions.received(handle.id)] == ["ana", "ben"]


async def test_what_was_aborted_while_it_could_not_be_planned_ends_aborted(world: World) -> None:
    await world.with_source(f"sqlite:///{world.folder}/absent.db")
    given = world.late("o-1").model_dump()
    given.update(trigger="service_disruption", subjects=(), facts={"component": "API", "region": "eu"})
    condition = Condition(**given | {"audience": Audience(query="affected_region", parameters={"region": "eu"})})
    handle = await world.start(condition)
    await world.client.tell(handle.id, "abort", note="enough")
    result = await ended(world, handle.id)
    assert (result.ending, result.reason) == ("aborted", "enough")
