"""Fallback: a message lost on one channel goes by the next, and nothing else does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from tellfirst.channels import receipts
from tellfirst.contract import Stage
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.store.consents import Consents
from tellfirst.store.customers import CustomerRecord
from tellfirst.store.preferences import Preference, Preferences
from tellfirst.store.receipts import Receipt, Receipts
from tests.figures import Figure
from tests.workflows.test_corrections import TEXT, approve_later, draft
from tests.world import World

PHONE, MAIL = "+14155550101", "jo@example.org"
BOTH = {"sms": PHONE, "email": MAIL}
Handle = WorkflowHandle[Any, Any]


def stood(world: World, handle: Handle, step: str = "initial") -> dict[str, str]:
    """Returns how a step stands on each channel."""
    return {one.channel: str(one.state) for one in world.sends.states(handle.id) if one.step == step}


async def told(world: World, *answers: AnswerKind, addresses: dict[str, str] = BOTH) -> Handle:
    """Starts and approves one late parcel, whose texts are answered so."""
    world.customer("c-1", addresses=addresses)
    world.sms.name, world.sms.answers = "twilio", list(answers)
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    return handle


def report(world: World, provider_id: str, status: str, error: str = "") -> None:
    """Has the provider report on one text."""
    assert world.app is not None
    kept = Receipts(world.app.database, judge=receipts.judge, meaning=receipts.meaning)
    event = Receipt(provider="twilio", provider_id=provider_id, status=status, error=error)
    assert kept.take(event, now=datetime.now(UTC))


async def test_undeliverable_by_text_goes_by_mail_as_a_new_send_of_the_same_step(world: World) -> None:
    world.contacts_known()
    handle = await told(world, AnswerKind.PERMANENT)
    await world.until(lambda: len(world.email.sent) == 1)
    await world.until(lambda: stood(world, handle) == {"sms": SendState.FAILED, "email": SendState.ACCEPTED})
    assert (world.sms.sent, world.email.sent[0].address) == ([], MAIL)
    # What follows goes where the first message came through.
    await world.pass_time(handle, days=2, hours=1)
    await world.until(lambda: len(world.email.sent) == 2)
    await world.until(lambda: stood(world, handle, "update-1") == {"email": SendState.ACCEPTED})
    result = await world.finish(handle)
    assert (result.ending, result.accepted, result.failed) == ("measured", 2, 0)


async def test_what_a_late_receipt_says_was_lost_goes_by_mail_then(world: World) -> None:
    handle = await told(world)
    await world.until(lambda: stood(world, handle) == {"sms": SendState.ACCEPTED})
    await world.pass_time(handle, minutes=5)
    assert not world.email.sent
    report(world, f"p-{world.sms.sent[0].send_id}", "undelivered", "30003")
    await world.pass_time(handle, minutes=11)
    await world.until(lambda: len(world.email.sent) == 1)
    await world.until(lambda: stood(world, handle) == {"sms": SendState.UNDELIVERED, "email": SendState.ACCEPTED})


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (AnswerKind.OPTED_OUT, SendState.FAILED),
        (AnswerKind.AMBIGUOUS, SendState.UNKNOWN),
        (AnswerKind.ACCEPTED, SendState.ACCEPTED),
    ],
)
async def test_neither_opt_out_nor_doubt_nor_success_goes_by_another_channel(
    world: World, answer: AnswerKind, state: SendState
) -> None:
    handle = await told(world, answer)
    await world.until(lambda: stood(world, handle).get("sms") == state or answer is AnswerKind.AMBIGUOUS)
    await world.pass_time(handle, hours=5)
    await world.until(lambda: stood(world, handle) == {"sms": state})
    assert not world.email.sent


async def test_whoever_stops_the_texts_after_one_was_lost_gets_no_mail(world: World) -> None:
    handle = await told(world)
    await world.until(lambda: stood(world, handle) == {"sms": SendState.ACCEPTED})
    Consents(world.app.database, everything=False).opt_out(["c-1"], channel="sms", at=datetime.now(UTC), source="test")
    report(world, f"p-{world.sms.sent[0].send_id}", "undelivered", "30003")
    await world.pass_time(handle, hours=5)
    assert not world.email.sent
    assert stood(world, handle) == {"sms": SendState.UNDELIVERED}


async def test_lost_on_every_channel_is_told_as_failed_once(world: World) -> None:
    world.contacts_known()
    world.email.answers = [AnswerKind.UNREACHED]
    world.in_app.answers = [AnswerKind.UNREACHED]
    handle = await told(world, AnswerKind.PERMANENT, addresses={**BOTH, "in_app": "jo"})
    await world.until(lambda: len(stood(world, handle)) == 3)
    await world.until(lambda: stood(world, handle)["in_app"] == SendState.FAILED)
    result = await world.finish(handle)
    assert (result.accepted, result.failed) == (0, 1)


async def test_what_a_customer_chose_comes_first_and_text_stands_behind_it(world: World) -> None:
    assert world.app is not None
    world.customer("c-1", addresses=BOTH)
    Preferences(world.app.database).choose("c-1", Preference(channel="email"), at=datetime.now(UTC))
    world.email.answers = [AnswerKind.UNREACHED]
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    await world.until(lambda: stood(world, handle) == {"email": SendState.FAILED, "sms": SendState.ACCEPTED})


async def test_a_correction_goes_where_the_message_came_through(world: World) -> None:
    handle = await told(world, AnswerKind.PERMANENT)
    await world.until(lambda: stood(world, handle).get("email") == SendState.ACCEPTED)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    mail = TEXT.replace("messages.sms.en]", 'messages.email.en]\nsubject = "Your order is not lost"')
    answer = await draft(world, handle, text=mail)
    assert (answer.accepted, answer.recipients) == (True, 1), answer
    await approve_later(world, handle)
    await world.until(lambda: len(world.email.sent) == 2)
    assert (world.email.sent[1].address, world.sms.sent) == (MAIL, [])


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE contact_points SET address = 'mallory@example.org' WHERE channel = 'email'",
        "UPDATE alternates SET channel = 'push' WHERE channel = 'email'",
        "UPDATE alternates SET rank = 2",
        "UPDATE alternates SET content_digest = 'x'",
        "UPDATE alternates SET locale = 'de'",
    ],
)
async def test_an_alternate_that_was_not_signed_does_not_leave(world: World, edit: str) -> None:
    assert world.app is not None
    world.customer("c-1", addresses=BOTH)
    world.sms.answers = [AnswerKind.PERMANENT]
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    envelope = world.envelope(handle.id)
    with world.app.database.write() as session:
        session.connection().exec_driver_sql(edit)
    assert (await world.client.submit(handle.id, envelope)).accepted
    await world.until(lambda: stood(world, handle).get("sms") == SendState.FAILED)
    await world.pass_time(handle, hours=1)
    assert not world.email.sent


async def test_of_many_exactly_the_lost_leave_by_mail_and_all_by_few_events(world: World, figure: Figure) -> None:
    world.customers.save(
        [
            CustomerRecord(id=f"c-{n}", addresses={"sms": f"+1415556{n:04d}", "email": f"c{n}@example.org"})
            for n in range(40)
        ],
        now=datetime.now(UTC),
        source="test",
    )
    world.sms.answers = [AnswerKind.PERMANENT if n % 2 else AnswerKind.ACCEPTED for n in range(40)]
    handle = await world.start(world.late(*(f"o-{n}" for n in range(40))))
    await world.approve(handle.id)
    await world.until(lambda: len(world.email.sent) == 20)
    texted = {int(message.address[-4:]) for message in world.sms.sent}
    mailed = {int(message.address[1:].partition("@")[0]) for message in world.email.sent}
    assert (len(texted), texted | mailed) == (20, set(range(40)))
    await world.until(lambda: world.sends.tally(handle.id).accepted == 40)
    await world.pass_time(handle, hours=5)
    events = len((await world.history(handle))["events"])
    figure(f"fallback: 20 of 40 texts lost, 20 mails instead, {events} history events until five hours later")
