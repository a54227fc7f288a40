"""What comes at an awkward moment: growth, changes, aborts and endings while something else is under way."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import RawValue

from activities.answers import longest_wait
from tellfirst import contract
from tellfirst.contract import Stage
from tellfirst.domain.message import Answer, AnswerKind
from tests.workflows.test_life import admit
from tests.workflows.test_sending import people, states
from tests.world import World

SEND_SMS = contract.send_queue("sms")


@asynccontextmanager
async def sending(world: World, handle: WorkflowHandle) -> AsyncIterator[None]:  # type: ignore[type-arg]
    """Holds the first message of an outreach at the provider for the length of the block."""
    gate = asyncio.Event()
    world.sms.wait_after = (0, gate)
    await world.approve(handle.id)
    await world.until(lambda: world.sms.busy)
    yield
    gate.set()


@contextmanager
def broken(world: World, trigger: str) -> Iterator[None]:
    """Lets a trigger of the database refuse what it names for the length of the block."""
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute(f"CREATE TRIGGER broken {trigger} BEGIN SELECT RAISE(ABORT, 'no'); END")
    yield
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("DROP TRIGGER broken")


async def test_a_decision_left_twice_is_accepted_twice_and_counts_once(world: World) -> None:
    """A worker that dies after recording it judges it again: the outreach must still hear of it."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    await world.client.submit(handle.id, approval)
    again = await handle.execute_update(contract.SUBMIT_DECISION, approval, result_type=contract.DecisionAnswer)
    assert again.accepted
    assert [d.accepted for d in world.decisions.received(handle.id)] == [True]


async def test_changes_come_too_late_once_it_was_approved(world: World) -> None:
    """Whoever was told would be told again by the revision that replaces it."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    text = world.registry.read_text()
    world.registry.write_text(text.replace("[[people.keys]]\n", "[[people.keys]]\nrevoked = 2020-01-01T00:00:00Z\n", 1))
    changes = world.envelope(handle.id, "request_changes", signer=world.ben, approver="ben")
    answer = await world.client.submit(handle.id, changes)
    assert (answer.accepted, answer.code) == (False, "already_decided")


async def test_both_revisions_that_were_sent_back_are_replaced(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.planned(handle.id)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)
    back = [world.envelope(handle.id, "request_changes", revision=number) for number in (1, 2)]
    await world.rest()
    for envelope in back:
        await world.client.decide(handle.id, envelope)
    await world.work()
    for number in (3, 4):
        await world.approve(handle.id, revision=number)
    await world.until(lambda: len(world.sms.sent) == 2)


async def test_changes_asked_for_while_growth_is_planned_are_made(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.planned(handle.id)
    admit(world, names)
    with broken(world, "BEFORE UPDATE ON revisions WHEN NEW.number = 2 AND NEW.status = 'pending'"):
        await world.client.tell(handle.id, "condition_changed")
        await world.until(lambda: world.recipients.verdicts(handle.id, 2))
        assert (await world.client.submit(handle.id, world.envelope(handle.id, "request_changes"))).accepted
    await world.planned(handle.id, revision=3)
    await world.status(handle, 1, "replaced")


async def test_an_abort_ends_what_is_still_to_be_decided(world: World) -> None:
    names = people(world, 2)
    world.contacts_known()
    handle = await world.start(admit(world, names[:1]))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)
    approval = world.envelope(handle.id, revision=2)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    assert (await world.client.submit(handle.id, approval)).accepted
    await world.client.tell(handle.id, "abort", note="enough")
    await world.until(lambda: world.outreaches.revision(handle.id, 2).status == "aborted")
    await world.stage(handle, Stage.AWAITING_WINDOW)
    result = await asyncio.wait_for(world.finish(handle), 60)
    assert (result.ending, result.reason, len(world.sms.sent)) == ("measured", "enough", 1)


async def test_what_may_have_left_before_an_abort_is_still_asked_about(world: World) -> None:
    world.sms.in_flight, world.sms.answers = 1, [AnswerKind.AMBIGUOUS]
    handle = await world.start(world.late(*people(world, 3)))
    async with sending(world, handle):
        await world.client.tell(handle.id, "abort", note="enough")
        await world.until(lambda: world.outreaches.get(handle.id).paused)
    await world.pass_time(handle, minutes=5)
    await world.until(lambda: states(world, handle.id) == {"unknown": 1, "planned": 2})
    await world.until(lambda: [one for one in world.escalations.of(handle.id) if one.kind == "unknown_sends"])


async def test_the_word_that_it_is_over_reaches_the_pages_in_flight(world: World) -> None:
    """Pages read from the database whether the condition is over; the look that records it must not wait for them."""
    world.sms.in_flight, world.sms.answers = 1, [AnswerKind.NOT_SENT] * 4
    handle = await world.start(world.late(*people(world, 2)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.answers) == 2)
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: world.outreaches.get(handle.id).cleared_at is not None)
    await world.until(lambda: states(world, handle.id) == {"withheld": 2})


async def test_a_page_that_was_to_wait_when_it_is_called_back_has_not_failed(world: World) -> None:
    """Whatever fails for a while is not tried again once it is called back: the server then says that it failed."""
    answer = asyncio.Event()
    world.sms.wait_after, world.sms.answers = (0, answer), [AnswerKind.NOT_SENT] * 2
    handle = await world.start(world.late(*people(world, 2)))
    await world.approve(handle.id)
    await world.until(lambda: world.sms.busy)
    await world.client.tell(handle.id, "condition_cleared")
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
            break
    answer.set()
    await world.until(lambda: states(world, handle.id) == {"withheld": 2})
    assert not world.sms.sent


async def test_the_word_that_it_is_over_outlives_trouble_with_recording_it(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    with broken(world, "BEFORE UPDATE ON outreaches WHEN NEW.cleared_at IS NOT NULL"):
        await world.client.tell(handle.id, "condition_cleared")
        await world.pass_time(handle, hours=7)
        await world.stuck(handle)
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert "arrived" in world.sms.sent[1].rendered.body


async def test_newcomers_who_cannot_be_told_do_not_keep_a_condition_open(world: World) -> None:
    names = people(world, 1)
    world.customer("c-7", opted_out=("*",))
    handle = await world.start(admit(world, names))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    admit(world, [*names, "o-7"])
    await world.client.tell(handle.id, "condition_changed")
    await world.until(lambda: world.recipients.verdicts(handle.id, 2))
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: len(world.sms.sent) == 2)
    assert "arrived" in world.sms.sent[1].rendered.body


async def test_the_word_that_it_is_over_counts_more_than_growth(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    admit(world, names)
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: len(world.sms.sent) == 2)
    assert world.outreaches.latest_revision(handle.id) == 1


async def test_an_incident_older_than_its_age_limit_still_grows(world: World) -> None:
    names = people(world, 2)
    condition = admit(world, names[:1])
    handle = await world.start(condition)
    await world.planned(handle.id)
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("UPDATE outreaches SET detected_at = '2020-01-01 00:00:00'")
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)


async def test_a_revision_whose_time_is_up_can_no_longer_be_decided(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)
    await world.pass_time(handle, hours=25)
    await world.until(lambda: world.outreaches.revision(handle.id, 2).status == "expired")
    assert not world.outreaches.pending(handle.id)


async def test_an_approval_is_reminded_of_while_another_revision_waits_for_a_worker(world: World) -> None:
    world.override("late_delivery", {"PT2H": "PT3S"})
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.planned(handle.id)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.planned(handle.id, revision=2)
    await world.without(SEND_SMS)
    await world.approve(handle.id)
    await world.until(lambda: [n for n in world.notices.of(handle.id) if n.id.startswith(f"{handle.id}:2:")], 10)


async def test_reconciliation_that_fails_asks_for_a_person_and_goes_on_after_the_resume(world: World) -> None:
    world.sms.answers = [AnswerKind.AMBIGUOUS]
    handle = await world.start(world.late(*people(world, 1)))
    with broken(world, "BEFORE UPDATE ON sends WHEN NEW.state = 'unknown'"):
        await world.approve(handle.id)
        await world.until(lambda: states(world, handle.id) == {"intent": 1})
        await world.pass_time(handle, hours=8)
        await world.stuck(handle)
    await world.client.pause(handle.id, paused=False)
    await world.pass_time(handle, minutes=5)
    await world.until(lambda: states(world, handle.id) == {"unknown": 1})


async def test_text_that_nothing_can_carry_or_keep_is_refused_and_nobody_goes_deaf(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    for poison in (
        rb'{"document": {"x": "\ud800"}, "signature": ""}',
        rb'{"document": {"approver": "\u0000"}, "signature": ""}',
        b"[" * 50_000,
    ):
        payload = Payload(metadata={"encoding": b"json/plain"}, data=poison)
        await handle.signal(contract.DECIDE, RawValue(payload))
    assert (await world.approve(handle.id)).accepted
    view = await world.client.view(handle.id)
    assert view.refused_messages == 3


async def test_a_cancel_in_the_temporal_ui_is_an_abort(world: World) -> None:
    world.contacts_known()
    handle = await world.start(world.late(*people(world, 1)))
    await world.approve(handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    await handle.cancel()
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    result = await world.finish(handle)
    assert (result.ending, result.reason, len(world.sms.sent)) == ("measured", "cancelled", 1)


async def test_the_deadline_shown_is_one_that_still_stands(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    attributes = (await handle.describe()).typed_search_attributes
    assert attributes.get(contract.DEADLINE) is None


def test_a_provider_that_is_down_for_a_while_does_not_use_up_its_messages() -> None:
    refused = [Answer(send_id="s", kind=AnswerKind.NOT_SENT)]
    assert [longest_wait(refused, attempts) for attempts in (1, 2, 3, 4)] == [1, 8, 64, 512]
    assert longest_wait([Answer(send_id="s", kind=AnswerKind.NOT_SENT, retry_after=5)], 4) == 5
