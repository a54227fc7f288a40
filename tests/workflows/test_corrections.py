"""Corrections and free updates: to exactly those who were told, under a decision of their own, measured by nobody."""

import sqlite3
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowHandle

from activities.addenda import AddendumActivities, DraftRequest
from tellfirst import contract
from tellfirst.contract import Draft, DraftAnswer, Stage
from tellfirst.domain.message import AnswerKind
from tellfirst.measurement.assignment import arm, draw
from tellfirst.playbooks.loader import parse
from tests.workflows.test_library import demanding
from tests.workflows.test_life import admit
from tests.workflows.test_sending import people, states
from tests.world import FAR, World

Handle = WorkflowHandle  # type: ignore[type-arg]

TEXT = """
[messages.sms.en]
know = "Your order {{ order_id }} is not lost: what we wrote before was wrong, sorry."
doing = "We have corrected our records."
now = "You don't need to do anything."
next = "You hear from us as we promised."
human = "Reply to reach a person."
why = "We write because you ordered from us."
out = "Reply STOP to end these texts."
"""


async def draft(world: World, handle: Handle, **more: str) -> DraftAnswer:
    """Drafts a correction of the first message as Pat."""
    given = {"event_id": "e-1", "by": "pat", "note": "the depot was named wrongly", "text": TEXT, **more}
    return await world.client.draft(handle.id, Draft.model_validate(given))


async def told(world: World, count: int = 2) -> Handle:
    """Returns an outreach that has told some people."""
    handle = await world.start(world.late(*people(world, count)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == count)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    return handle


def drawn(world: World, **wanted: int) -> list[str]:
    """Returns subjects whose customers stand in so many arms, with four in ten held out: an arm can be worked out."""
    outreach = contract.outreach_id("late_delivery", world.key, 1)
    found: dict[str, list[str]] = {side: [] for side in wanted}
    for name in people(world, 60):
        customer = name.replace("o-", "c-")
        number = draw(world.settings.holdout_salt, outreach, customer)
        found[arm(number, 0.4)].append(name)
    return [name for side, count in wanted.items() for name in found[side][:count]]


async def approve_later(world: World, handle: Handle) -> None:
    """Approves revision 2 of an outreach whose clock was moved: decisions are received by the real one."""
    await world.planned(handle.id, revision=2)
    approval = world.envelope(handle.id, revision=2, issued_at=datetime.now(UTC))
    assert (await world.client.submit(handle.id, approval)).accepted


def status(world: World, handle: Handle, revision: int) -> str:
    record = world.outreaches.revision(handle.id, revision)
    return "" if record is None else record.status


def bodies(world: World, first: int) -> list[str]:
    return [message.rendered.body for message in world.sms.sent[first:]]


def edit(world: World, statement: str, *values: object) -> None:
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        assert database.execute(statement, values).rowcount


async def test_correction_goes_to_exactly_those_who_received_the_message(world: World) -> None:
    """Not to who was held out, opted out, withheld, refused by the provider or is unknown; nobody twice."""
    world.hold_out(0.4)
    world.customer("c-900", opted_out=("*",))
    world.sms.in_flight = 1
    world.sms.answers = [AnswerKind.PERMANENT, AnswerKind.AMBIGUOUS, AnswerKind.OPTED_OUT]
    chosen = drawn(world, treated=6, control=2)
    handle = await world.start(world.late(*chosen, "o-900", "o-990"))
    await world.approve(handle.id)
    await world.until(lambda: sum(world.recipients.arms(handle.id).values()) == 8)
    arms = world.recipients.arms(handle.id)
    assert arms == {"treated": 6, "control": 2}
    received = arms["treated"] - 3
    await world.until(lambda: states(world, handle.id).get("accepted") == received)
    await world.pass_time(handle, minutes=5)
    await world.until(lambda: states(world, handle.id).get("unknown") == 1)
    asked = [message.address for message in world.sms.sent]
    answer = await draft(world, handle)
    assert (answer.accepted, answer.recipients, answer.step) == (True, received, "correction-1"), answer
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == len(asked) + received)
    again = [message.address for message in world.sms.sent[len(asked) :]]
    assert len(set(again)) == received
    assert set(again) == set(asked[1:])  # the first that was asked for is the one that nobody knows of
    assert all("what we wrote before was wrong" in body for body in bodies(world, len(asked)))
    assert world.recipients.arms(handle.id) == arms


async def test_corrected_are_measured_by_their_first_message_alone(world: World) -> None:
    world.contacts_known()
    handle = await told(world)
    await world.pass_time(handle, days=3)
    await world.until(lambda: len(world.sms.sent) == 4)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    closes = (await world.client.view(handle.id)).deadline
    assert (await draft(world, handle)).accepted
    await world.status(handle, 2, "pending")
    assert (await world.client.view(handle.id)).revisions[1].recipients == 2
    await approve_later(world, handle)
    await world.until(lambda: len(world.sms.sent) == 6)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    assert (await world.client.view(handle.id)).deadline == closes, "the window is that of the first message"
    result = await world.finish(handle)
    assert (result.ending, result.recipients, result.accepted) == ("measured", 2, 6)
    assert {line.arm: line.clusters for line in world.outcomes.report()}["treated"] == 2


async def test_who_opted_out_or_moved_since_is_not_told_and_the_approver_sees_it(world: World) -> None:
    handle = await told(world, 4)
    world.customer("c-0", addresses={"sms": "+14150000000"}, opted_out=("sms",))
    world.customer("c-1", addresses={"sms": "+14159999999"})
    assert (await draft(world, handle)).recipients == 4
    await world.planned(handle.id, revision=2)
    assert world.recipients.verdicts(handle.id, 2) == {"eligible": 2, "opted_out": 1, "address_changed": 1}
    world.customer("c-2", addresses={"sms": "+14150000002"}, opted_out=("sms",))
    await world.approve(handle.id, revision=2)
    await world.until(lambda: states(world, handle.id) == {"accepted": 5, "withheld": 1})
    assert world.sms.sent[4].address == "+14150000003"


async def test_correction_reaches_those_for_whom_it_is_over_and_a_free_update_does_not(world: World) -> None:
    handle = await told(world)
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: len(world.sms.sent) == 4)
    await draft(world, handle, kind="free-update")
    await world.until(lambda: world.recipients.verdicts(handle.id, 2) == {"condition_cleared": 2})
    assert (await draft(world, handle, event_id="e-2")).step == "correction-2"
    await world.approve(handle.id, revision=3)
    await world.until(lambda: len(world.sms.sent) == 6)


async def test_word_that_it_is_over_ends_a_free_update_and_not_a_correction(world: World) -> None:
    handle = await told(world)
    await draft(world, handle)
    await draft(world, handle, event_id="e-2", kind="free-update", text=TEXT.replace("sorry", "we are sorry"))
    await world.planned(handle.id, revision=3)
    await world.client.tell(handle.id, "condition_cleared")
    await world.until(lambda: status(world, handle, 3) == "cleared")
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == 6)
    assert sum("what we wrote before" in body for body in bodies(world, 2)) == 2


async def test_free_update_goes_to_those_told_and_is_withheld_once_it_is_over(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert (await draft(world, handle, kind="free-update")).step == "free-update-1"
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == 4)


async def test_promised_update_can_be_corrected_too(world: World) -> None:
    handle = await told(world)
    await world.pass_time(handle, days=1, hours=23)
    await world.until(lambda: len(world.sms.sent) == 4)
    await draft(world, handle, step="update-1")
    await approve_later(world, handle)
    await world.until(lambda: len(world.sms.sent) == 6)


async def test_promise_is_kept_while_a_correction_waits_for_its_decision(world: World) -> None:
    handle = await told(world)
    await world.pass_time(handle, days=1, hours=12)
    await draft(world, handle)
    await world.planned(handle.id, revision=2)
    await world.pass_time(handle, hours=11)
    await world.until(lambda: len(world.sms.sent) == 4)
    assert all("still not arrived" in body for body in bodies(world, 2))
    assert status(world, handle, 2) == "pending"
    await approve_later(world, handle)
    await world.until(lambda: len(world.sms.sent) == 6)


async def test_correction_of_a_correction_follows_it(world: World) -> None:
    handle = await told(world)
    await draft(world, handle)
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == 4)
    other = TEXT.replace("is not lost", "is at the depot")
    assert (await draft(world, handle, event_id="e-2", text=other, step="correction-1")).accepted
    await world.approve(handle.id, revision=3)
    await world.until(lambda: len(world.sms.sent) == 6)
    assert all("at the depot" in body for body in bodies(world, 4))
    proposal = world.outreaches.revision(handle.id, 3).proposal
    assert (proposal.addendum, list(proposal.steps)) == ("correction/correction-1", ["correction-2"])


async def test_who_was_told_by_two_revisions_is_corrected_once(world: World) -> None:
    names = people(world, 2)
    handle = await world.start(admit(world, names[:1]))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    admit(world, names)
    await world.client.tell(handle.id, "condition_changed")
    await world.approve(handle.id, revision=2)
    await world.until(lambda: len(world.sms.sent) == 2)
    assert (await draft(world, handle)).recipients == 2
    await world.approve(handle.id, revision=3)
    await world.until(lambda: len(world.sms.sent) == 4)
    assert len({message.address for message in world.sms.sent[2:]}) == 2


@pytest.mark.parametrize(("choice", "ended"), [("reject", "rejected"), ("request_changes", "changes_requested")])
async def test_refused_correction_sends_nothing_and_the_outreach_lives_on(
    world: World, choice: str, ended: str
) -> None:
    world.contacts_known()
    handle = await told(world)
    await draft(world, handle)
    await world.planned(handle.id, revision=2)
    assert (await world.client.submit(handle.id, world.envelope(handle.id, choice, revision=2))).accepted
    assert status(world, handle, 2) == ended
    assert (await draft(world, handle, event_id="e-2")).step == "correction-2"
    await world.planned(handle.id, revision=3)
    await world.client.submit(handle.id, world.envelope(handle.id, "reject", revision=3))
    result = await world.finish(handle)
    assert (result.ending, result.accepted, result.reason) == ("measured", 4, "")


async def test_correction_that_nobody_decides_expires(world: World) -> None:
    world.contacts_known()
    handle = await told(world)
    await draft(world, handle)
    await world.planned(handle.id, revision=2)
    approval = world.envelope(handle.id, revision=2)
    await world.pass_time(handle, hours=25)
    await world.until(lambda: status(world, handle, 2) == "expired")
    assert not (await world.client.submit(handle.id, approval)).accepted
    assert len(world.sms.sent) == 2
    assert (await world.finish(handle)).ending == "measured"


async def test_who_drafted_it_does_not_approve_it(world: World) -> None:
    handle = await told(world)
    await draft(world, handle, by="ana")
    await world.planned(handle.id, revision=2)
    answer = await world.client.submit(handle.id, world.envelope(handle.id, revision=2))
    assert (answer.accepted, answer.code) == (False, "own_proposal")
    approval = world.envelope(handle.id, revision=2, signer=world.ben, approver="ben")
    assert (await world.client.submit(handle.id, approval)).accepted
    await world.until(lambda: len(world.sms.sent) == 4)


async def test_words_changed_after_the_approval_do_not_leave(world: World) -> None:
    handle = await told(world)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    version = (await draft(world, handle)).version
    await world.approve(handle.id, revision=2)
    edit(
        world, "UPDATE playbook_versions SET text = replace(text, 'is not lost', 'is lost') WHERE version = ?", version
    )
    await world.rest()
    await world.__aenter__()  # other workers, which have read nothing yet
    await world.client.pause(handle.id, paused=False)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert "decision:playbook_changed" in (await world.client.view(handle.id)).details
    assert len(world.sms.sent) == 2


async def test_row_added_after_the_approval_stops_the_page(world: World) -> None:
    handle = await told(world, 3)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    world.customer("c-2", addresses={"sms": "+14150000002"}, opted_out=("sms",))
    await draft(world, handle)
    await world.approve(handle.id, revision=2)
    edit(
        world,
        "UPDATE recipients SET verdict = 'eligible', page = 0 WHERE revision = 2 AND customer_id = ?",
        "c-2",
    )
    await world.client.pause(handle.id, paused=False)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert len(world.sms.sent) == 3


async def test_paused_outreach_holds_its_correction(world: World) -> None:
    handle = await told(world)
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    await draft(world, handle)
    await world.approve(handle.id, revision=2)
    await world.pass_time(handle, minutes=5)
    assert len(world.sms.sent) == 2
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 4)


async def test_bad_drafts_are_refused_in_a_sentence_and_change_nothing(world: World) -> None:
    handle = await told(world)
    refused = [
        (await draft(world, handle, **given))
        for given in (
            {"text": TEXT.replace("know =", "knows =")},
            {"text": "[messages"},
            {"step": "resolved"},
            {"text": TEXT.replace("You hear from us", "You hear from us by {{ promise }}")},
            {"note": "call +49 30 1234567"},
        )
    ]
    assert [answer.code for answer in refused] == [
        "bad_text",
        "bad_text",
        "nobody_received",
        "bad_text",
        "personal",
    ]
    assert refused[0].message.startswith("the text: 'messages.sms.en.knows' is not a key of a playbook")
    assert refused[2].message == "nobody received step 'resolved'; what was sent: initial"
    assert (await world.client.view(handle.id)).revisions[1:] == ()
    assert (await draft(world, handle)).step == "correction-1"


async def test_everyone_is_told_in_the_language_they_were_told_in(world: World) -> None:
    world.customer("c-7", addresses={"sms": "+14150000007"}, locale="de")
    handle = await world.start(world.late(*people(world, 1), "o-7"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 2)
    answer = await draft(world, handle)
    assert answer.code == "text_missing"
    assert answer.message == "they read it in sms.de (1); write those messages too"


async def test_same_draft_counts_once(world: World) -> None:
    handle = await told(world)
    assert (await draft(world, handle)).accepted
    again = await handle.execute_update(
        contract.DRAFT,
        Draft(event_id="e-1", by="pat", note="the same again", text=TEXT),
        result_type=DraftAnswer,
    )
    assert (again.accepted, again.version) == (True, "")
    await world.planned(handle.id, revision=2)
    answer = await draft(world, handle, event_id="e-2")
    assert (answer.code, answer.message) == ("already_drafted", "revision 2 says the same and waits for a decision")


async def test_outreach_that_was_aborted_or_has_ended_takes_no_draft(world: World) -> None:
    world.contacts_known()
    handle = await told(world)
    await world.client.tell(handle.id, "abort", note="enough")
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    answer = await draft(world, handle)
    assert (answer.code, "outreach of its own" in answer.message) == ("ended", True)
    await world.finish(handle)
    kept = AddendumActivities(outreaches=world.outreaches, receivers=None, gate=None)  # type: ignore[arg-type]
    given = Draft(event_id="e-2", by="pat", note="late", text=TEXT)
    assert kept._keep(DraftRequest(outreach=handle.id, draft=given, number=1), FAR).code == "ended"


async def test_version_that_may_not_send_any_more_is_not_corrected(world: World) -> None:
    librarians = await demanding(world)
    about = await librarians.let(world.library["late_delivery"])
    handle = await told(world)
    await draft(world, handle)
    await world.planned(handle.id, revision=2)
    librarians.matters.set_status(about, "withdrawn", at=FAR, only=("approved",))
    await world.approve(handle.id, revision=2)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert "playbook_not_live:withdrawn" in (await world.client.view(handle.id)).details
    assert (await draft(world, handle, event_id="e-2", text=TEXT.replace("sorry", "pardon"))).code.startswith(
        "playbook_not_live"
    )
    assert len(world.sms.sent) == 2


async def test_text_that_changes_more_than_words_does_not_leave(world: World) -> None:
    """Somebody who writes to the database and has an approver's signature still cannot widen what may be said."""
    handle = await told(world)
    version = (await draft(world, handle)).version
    await world.planned(handle.id, revision=2)
    text = world.outreaches.playbook_text(version)
    gate = world.app.planning._gate
    forged = parse(text.replace('purpose = "service"', 'purpose = "transactional"'), "forged")
    assert gate.refusal(forged.playbook, forged.version, now=FAR) == "addendum_differs"
    assert gate.refusal(parse(text, "kept").playbook, version, now=FAR) == ""
    orphan = parse(text.replace(world.library["late_delivery"].version, "0" * 64), "forged")
    assert gate.refusal(orphan.playbook, orphan.version, now=FAR) == "addendum_differs"
