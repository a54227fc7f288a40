"""What may reach a running outreach, in good and in bad form: named answers, nothing lost, nothing sent wrongly."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.decisions import ReceivedDecision
from tellfirst import contract
from tellfirst.contract import DecisionAnswer, DecisionEnvelope, Event, Stage
from tellfirst.domain.message import AnswerKind
from tellfirst.errors import NotFoundError
from tellfirst.signing.documents import Choice, digest
from tests.signing.make import ed25519, envelope
from tests.world import World


async def test_the_same_decision_twice_is_one_and_another_one_is_told_so(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    assert (await world.client.submit(handle.id, approval)).accepted
    assert (await world.client.submit(handle.id, approval)).accepted, "the same submission, the same answer"
    second = await world.client.submit(handle.id, world.envelope(handle.id, signer=world.ben, approver="ben"))
    assert (second.accepted, second.code) == (False, "already_decided")
    await world.until(lambda: len(world.sms.sent) == 1)
    assert [r.accepted for r in world.decisions.received(handle.id)] == [True, False]


@pytest.mark.parametrize(("choice", "stage"), [("approve", Stage.AWAITING_WINDOW), ("reject", Stage.CLOSED)])
async def test_a_decision_that_was_recorded_and_then_lost_is_heard_with_the_next(
    world: World, choice: Choice, stage: Stage
) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    first = world.envelope(handle.id, choice)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    received = ReceivedDecision(outreach=handle.id, raw=first.model_dump(mode="json"))
    # Its worker dies before the workflow hears of it, and whoever waited for the answer is gone too.
    assert (await asyncio.to_thread(environment.run, world.app.decisions.receive_decision, received)).accepted
    assert (await world.client.view(handle.id)).stage == Stage.AWAITING_APPROVAL
    second = await world.client.submit(handle.id, world.envelope(handle.id, signer=world.ben, approver="ben"))
    assert (second.accepted, second.code) == (False, "already_decided")
    await world.stage(handle, stage)
    assert len(world.sms.sent) == (choice == "approve")


async def test_racing_approvers_make_one_decision(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    decisions = [
        world.envelope(handle.id, choice, signer=signer, approver=name, issued_at=None)
        for name, signer in (("ana", world.ana), ("ben", world.ben))
        for choice in ("approve", "reject")
    ]
    answers = await asyncio.gather(*(world.client.submit(handle.id, d) for d in decisions), return_exceptions=True)
    answered = [a for a in answers if isinstance(a, contract.DecisionAnswer)]
    assert sum(a.accepted for a in answered) == 1
    assert len(world.decisions.received(handle.id)) == len(answered), "every attempt is recorded"
    # Where a rejection came first, whoever is late may find the outreach ended.
    late = [a for a in answers if a not in answered]
    assert not late or next(a for a in answered if a.accepted).status == "rejected"
    assert all(isinstance(one, NotFoundError) for one in late)


async def test_a_stranger_is_refused_and_recorded(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    answer = await world.client.submit(handle.id, world.envelope(handle.id, signer=ed25519()))
    assert (answer.accepted, answer.code) == (False, "unknown_key")
    view = await world.client.view(handle.id)
    assert (view.stage, view.refused_messages) == (Stage.AWAITING_APPROVAL, 1)
    assert [r.code for r in world.decisions.received(handle.id)] == ["unknown_key"]


async def test_malformed_messages_are_counted_and_change_nothing(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await handle.signal(contract.DECIDE, "yes please")
    await handle.signal(contract.DECIDE)
    await handle.signal(contract.PAUSE, {"event_id": "", "paused": "perhaps"})
    await handle.signal(contract.ABORT, 7)
    await handle.signal(contract.CONDITION_CLEARED)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(contract.SUBMIT_DECISION, {"document": 1}, result_type=DecisionAnswer)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "malformed"
    view = await world.client.view(handle.id)
    assert (view.stage, view.refused_messages) == (Stage.AWAITING_APPROVAL, 5)
    assert (await world.approve(handle.id)).accepted, "it still works"


async def test_a_decision_left_while_no_worker_is_alive_is_judged_later(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    envelope = world.envelope(handle.id)
    await world.rest()
    await world.client.decide(handle.id, envelope)
    assert not world.sms.sent
    await world.work()
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_decision_after_expiry_finds_nothing_open(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    late_approval = world.envelope(handle.id)
    assert (await world.finish(handle)).ending == "expired"
    with pytest.raises(Exception, match="no running outreach"):
        await world.client.submit(handle.id, late_approval)
    assert not world.sms.sent


async def test_a_stale_decision_is_refused_after_request_changes(world: World) -> None:
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    stale = world.envelope(handle.id)
    asked = await world.client.submit(handle.id, world.envelope(handle.id, "request_changes"))
    assert asked.accepted
    await world.planned(handle.id, revision=2)
    await world.until(lambda: world.outreaches.revision(handle.id, 1).status == "replaced")
    answer = await world.client.submit(handle.id, stale)
    assert (answer.accepted, answer.code) == (False, "stale_content")
    assert not world.sms.sent
    assert (await world.approve(handle.id, revision=2)).accepted
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_the_same_event_counts_once(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.client.pause(handle.id, paused=True, event_id="p-1")
    await world.stage(handle, Stage.PAUSED)
    await world.client.pause(handle.id, paused=False, event_id="p-2")
    await world.stage(handle, Stage.AWAITING_APPROVAL)
    await world.client.pause(handle.id, paused=True, event_id="p-1")
    await handle.signal(contract.CONDITION_CHANGED, Event(event_id="look-1"))
    assert (await world.client.view(handle.id)).paused is False


async def test_a_second_start_is_the_same_outreach_open_and_closed(world: World) -> None:
    world.customer("c-1")
    condition = world.late("o-1")
    handle = await world.start(condition)
    again = await asyncio.gather(*(world.client.start(condition) for _ in range(10)))
    assert {(s.outreach, s.ended_before) for s in again} == {(handle.id, False)}
    await world.planned(handle.id)
    await world.client.submit(handle.id, world.envelope(handle.id, "reject"))
    await world.finish(handle)
    assert (await world.client.start(condition)).ended_before


async def test_an_address_in_the_id_or_key_is_refused_at_once(world: World) -> None:
    for bad in ("ana@example.com", "order-+14155550100"):
        with pytest.raises(Exception, match="looks like"):
            await world.client.start(world.late("o-1", key=bad))
        raw = await world.env.client.start_workflow(
            contract.OUTREACH, world.late("o-1", key=bad), id=f"x/{world.key}/{len(bad)}", task_queue=contract.QUEUE
        )
        result = contract.Result.model_validate(await raw.result())
        assert (result.ending, result.reason) == (
            "refused",
            "the condition key looks like an address; use an opaque key",
        )


async def test_the_words_say_who_is_waited_for_since_when_and_what_to_do(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.pass_time(handle, hours=5)
    view = await world.client.view(handle.id)
    assert view.stage == Stage.APPROVAL_OVERDUE
    planned = world.outreaches.revision(handle.id, 1)
    assert planned is not None
    assert "Service lead" in view.details
    assert f"{planned.plan.planned_at:%d %b %Y, %H:%M} UTC" in view.details
    assert "tellfirst approve" in view.details
    metadata = await handle.query("__temporal_workflow_metadata")
    assert "Service lead" in str(metadata)
    found = [w.id async for w in world.env.client.list_workflows(contract.STUCK) if w.id == handle.id]
    for _ in range(100):
        if found:
            break
        await asyncio.sleep(0.1)
        found = [w.id async for w in world.env.client.list_workflows(contract.STUCK) if w.id == handle.id]
    assert found == [handle.id]


async def test_a_decision_that_came_in_time_beats_its_deadline(world: World) -> None:
    """The clock jumps to the deadline while the decision waits: it was left in time, and counts."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.pass_time(handle, hours=23, minutes=59)
    envelope: DecisionEnvelope = world.envelope(handle.id)
    assert (await world.client.submit(handle.id, envelope)).accepted
    await world.pass_time(handle, minutes=5)
    assert world.outreaches.revision(handle.id, 1).status == "approved"
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_promise_at_risk_is_told_once_and_kept_after_the_resume(world: World) -> None:
    world.customer("c-1")
    world.customer("c-2", addresses={"sms": "+14150000002"})
    world.sms.in_flight, world.sms.answers = 1, [AnswerKind.ACCEPTED, AnswerKind.CONFIGURATION]
    handle = await world.start(world.late("o-1", "o-2"))
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    await world.pass_time(handle, days=1, hours=23)
    told = [(n.kind, n.level) for n in world.notices.of(handle.id)]
    assert told == [("attention", 1), ("attention", 2), ("attention", 3), ("promise_at_risk", 1)]
    assert (await world.client.view(handle.id)).stage == Stage.ESCALATED
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert {m.address for m in world.sms.sent} == {world.sms.sent[0].address}, "the update; a first message is too late"
    assert len((await world.history(handle))["events"]) < 120


async def test_a_promise_that_falls_due_while_paused_is_told_and_kept_after_the_resume(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    await world.pass_time(handle, days=1, hours=23)
    assert [n.kind for n in world.notices.of(handle.id)] == ["promise_at_risk"]
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 2)


async def test_without_a_registry_everything_is_refused_and_nobody_goes_deaf(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    registry = world.registry.read_text()
    world.registry.unlink()
    answer = await world.client.submit(handle.id, world.envelope(handle.id))
    assert (answer.accepted, answer.code) == (False, "no_registry")
    world.registry.write_text(registry)
    assert (await world.client.submit(handle.id, world.envelope(handle.id, signer=world.ben, approver="ben"))).accepted
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_step_that_fails_for_good_asks_for_a_person_and_goes_on_after_the_resume(world: World) -> None:
    """Errors of what runs inside the workflow task arrive bare, and would fail the workflow."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    assert (await world.approve(handle.id)).accepted
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("CREATE TABLE kept AS SELECT text FROM playbook_versions")
        database.execute("UPDATE playbook_versions SET text = 'id = '")
    await world.client.pause(handle.id, paused=False)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert "PlaybookError" in (await world.client.view(handle.id)).details
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("UPDATE playbook_versions SET text = (SELECT text FROM kept)")
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_nobody_decides_about_a_playbook_that_was_changed(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    for change in ("'id = '", "text || '\n'"):
        with sqlite3.connect(world.folder / "tellfirst.db") as database:
            database.execute(f"UPDATE playbook_versions SET text = {change}")
        answer = await world.client.submit(handle.id, approval)
        assert (answer.accepted, answer.code) == (False, "playbook_changed")
    assert not world.sms.sent


async def test_one_approval_of_two_lets_nothing_leave_whatever_the_row_says(world: World) -> None:
    world.override("late_delivery", {"[approval]\n": "[approval]\nquorum = 2\n"})
    world.customer()
    handle = await world.start(world.late("o-1"))
    assert (await world.approve(handle.id)).status == "pending"
    world.outreaches.set_status(handle.id, 1, "approved")
    revision = world.outreaches.revision(handle.id, 1)
    assert world.app is not None
    assert revision is not None
    approvals = world.app.dispatch._approvals
    assert approvals.holds(revision, now=datetime.now(UTC)) == "not_approved"
    first = world.envelope(handle.id)
    second = revision.proposal.decide("approve", "ben", datetime.now(UTC), prior=digest(first.document))
    assert (await world.client.submit(handle.id, envelope(world.ben, second))).accepted
    assert approvals.holds(revision, now=datetime.now(UTC)) == ""


async def test_an_approval_copied_with_its_rows_to_another_outreach_is_worth_nothing(world: World) -> None:
    world.customer("c-1")
    first = await world.start(world.late("o-1"))
    await world.planned(first.id)
    approval = world.envelope(first.id)
    second = await world.start(world.late("o-1", key=f"{world.key}-b"))
    await world.planned(second.id)
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        for column in ("plan", "proposal"):
            database.execute(
                f"UPDATE revisions SET {column} = (SELECT {column} FROM revisions WHERE outreach_id = ?)"
                " WHERE outreach_id = ?",
                (first.id, second.id),
            )
    answer = await world.client.submit(second.id, approval)
    assert (answer.accepted, answer.code) == (False, "wrong_outreach")
    assert not world.sms.sent


async def test_what_fails_again_and_again_does_not_fill_the_history(world: World) -> None:
    """After an abort attention holds nothing: what may have left is still asked about."""
    world.customer("c-1")
    world.sms.answers = [AnswerKind.AMBIGUOUS]
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: world.sends.tally(handle.id).in_doubt == 1)
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute("CREATE TABLE kept AS SELECT text FROM playbook_versions")
        database.execute("UPDATE playbook_versions SET text = 'id = '")
    await world.client.tell(handle.id, "abort", note="enough")
    await world.pass_time(handle, minutes=10)
    assert len((await world.history(handle))["events"]) < 600
