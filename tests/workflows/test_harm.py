"""What does harm is paused between two pages, on the real server: by each rule, once, until a person accepts it."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.testing import ActivityEnvironment

from activities.harm import HarmReport
from tellfirst import contract
from tellfirst.contract import Stage
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contact
from tellfirst.store.harm import WATCH, Harm
from tellfirst.store.replies import Incoming, Replies
from tellfirst.store.tables import OutreachRow, RecipientRow, SendRow
from tests.workflows.test_sending import people
from tests.world import FAR, World
from workflows.upkeep import UpkeepState

Handle = WorkflowHandle[Any, Any]
AGES_AGO = {
    "started_at": datetime(2020, 1, 1, tzinfo=UTC),
    "detected_at": datetime(2020, 1, 1, tzinfo=UTC),
    "facts": {},
}
TIMER = EventType.EVENT_TYPE_TIMER_STARTED
NUMBERS = iter(range(1_000_000))


async def half_told(world: World, count: int, told: int) -> tuple[Handle, asyncio.Event]:
    """Returns an outreach whose provider takes its time after so many messages, and what lets it go on."""
    go_on = asyncio.Event()
    world.sms.wait_after = (told, go_on)
    await world.with_settings(page_size=told)
    handle = await world.start(world.late(*people(world, count)))
    await world.approve(handle.id)
    # The watch reads what was recorded, and a single round of it looks once.
    await world.until(lambda: world.sends.tally(handle.id).accepted >= told)
    return handle, go_on


async def rounds(world: World, count: int = 1) -> None:
    """Lets upkeep go round."""
    handle = await world.env.client.start_workflow(
        contract.UPKEEP,
        UpkeepState(since=datetime.now(UTC), rounds=count + 1),
        id=f"upkeep-{world.key}-{next(NUMBERS)}",
        task_queue=contract.QUEUE,
    )
    world.ends(handle)
    await world.pass_time(handle, minutes=15 * count + 1)
    # What it says to an outreach is lost with it where it ends before the server has passed that on.
    async with asyncio.timeout(60):
        while [event.event_type async for event in handle.fetch_history_events()].count(TIMER) <= count:
            await asyncio.sleep(0.05)
    await handle.terminate()


async def sending_ended(handle: Handle) -> None:
    """Waits until no page is on its way."""
    async with asyncio.timeout(60):
        while (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)


async def look(world: World) -> HarmReport:
    """Looks once, without a word to the outreach."""
    assert world.app is not None
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    return await asyncio.to_thread(environment.run, world.app.harm.watch_harm)


def sends(world: World, outreach: str) -> list[SendRow]:
    assert world.app is not None
    with world.app.database.read() as session:
        query = select(SendRow).where(SendRow.outreach_id == outreach, SendRow.state == "accepted")
        return list(session.exec(query.order_by(col(SendRow.id))))


def opt_out(world: World, told: Sequence[SendRow]) -> None:
    assert world.app is not None
    customers = [send.customer_id for send in told]
    Consents(world.app.database).opt_out(customers, channel="sms", at=datetime.now(UTC), source="reply")


def write_back(world: World, told: Sequence[SendRow], tone: str) -> None:
    assert world.app is not None
    replies = Replies(world.app.database)
    for send in told:
        incoming = Incoming(id=f"in-{next(NUMBERS)}", channel="sms", refers=(send.id,))
        assert replies.take(incoming, Reading(kind=Kind.REPLY, tone=tone), now=datetime.now(UTC))


def contact(world: World, outreach: str, arm: str, count: int) -> None:
    """Has some accounts of an arm make contact, about something else."""
    assert world.app is not None
    with world.app.database.read() as session:
        query = select(RecipientRow).where(RecipientRow.outreach_id == outreach, RecipientRow.arm == arm)
        rows = session.exec(query.order_by(col(RecipientRow.id)).limit(count)).all()
    now = datetime.now(UTC)
    contacts = [
        Contact(id=f"k-{next(NUMBERS)}", customer=row.customer_id, reason_code="other", occurred_at=now) for row in rows
    ]
    assert len(contacts) == count
    world.contacts.save(contacts, source="helpdesk", through=FAR, now=now)


HARMFUL: dict[str, tuple[Callable[[World, str], None], str]] = {
    "opt_out": (lambda world, id_: opt_out(world, sends(world, id_)[:30]), "30 of 2.. told opted out: 1"),
    "negative_tone": (
        lambda world, id_: write_back(world, sends(world, id_)[:24], "angry"),
        "24 of 2.. told wrote back angrily or asked why: 1",
    ),
    "induced_contacts": (
        lambda world, id_: (contact(world, id_, "treated", 90), contact(world, id_, "control", 25))[0],
        r"contacts about anything: 90 of \d+ told, 25 of \d+ held out; \+",
    ),
    "team_load": (
        lambda world, id_: write_back(world, sends(world, id_)[:110], "thanks"),
        "110 replies, exceptions and escalations in 1.0 h: 110 an hour, surely above ",
    ),
}
"""What each rule is crossed by, and no other."""


@pytest.mark.parametrize("rule", HARMFUL)
async def test_what_does_harm_is_paused_and_the_rest_is_not_told(world: World, rule: str) -> None:
    harm, words = HARMFUL[rule]
    world.hold_out(0.5 if rule == "induced_contacts" else 0)
    handle, go_on = await half_told(world, 500 if rule == "induced_contacts" else 300, 200)
    told = len(world.sms.sent)
    harm(world, handle.id)
    await rounds(world)
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    go_on.set()
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    [event] = Harm(world.app.database).events(handle.id)
    assert event.rule == rule
    assert event.bound > event.limit
    assert re.search(words, event.words), event.words
    view = await world.client.view(handle.id)
    assert view.paused
    assert [(one.kind, one.level) for one in view.escalations] == [("harm", 1)]
    assert event.words in view.escalations[0].text
    assert "`tellfirst resume` accepts it as it is, `tellfirst abort` ends it." in view.details
    assert [notice.to for notice in world.notices.of(handle.id) if notice.kind == "harm"] == ["Service lead"]
    entries = [(e.kind, e.actor) for e in Chain(world.app.database).entries() if e.about == handle.id]
    assert entries.count(("harm", WATCH)) == entries.count(("pause", WATCH)) == 1
    await sending_ended(handle)
    if rule == "opt_out":  # it outlives its workers
        await world.rest()
        await world.work()
        await world.pass_time(handle, minutes=10)
    assert len(world.sms.sent) <= told + 32, "no more than the micro-batches that were on their way"


async def all_told(world: World, count: int, holdout: float = 0.0) -> Handle:
    """Returns an outreach that waits for its window to close."""
    world.hold_out(holdout)
    await world.with_settings()
    handle = await world.start(world.late(*people(world, count)))
    await world.approve(handle.id)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    return handle


async def test_who_lets_it_go_on_accepts_it_until_it_is_worse(world: World) -> None:
    handle = await all_told(world, 200)
    told = sends(world, handle.id)
    opt_out(world, told[:30])
    await rounds(world)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    opt_out(world, told[30:36])  # what is seen when it goes on counts, not what it was paused for
    await world.client.pause(handle.id, paused=False, by="eve")
    await world.stage(handle, Stage.AWAITING_WINDOW)
    await world.until(lambda: world.escalations.open() == [])
    await rounds(world, 3)
    harm = Harm(world.app.database)
    assert [(e.number, e.figure, e.accepted) for e in harm.events(handle.id)] == [(1, 0.15, 0.18)]
    opt_out(world, told[36:74])  # 37 %, surely above 27 %
    await rounds(world, 2)
    assert len(harm.events(handle.id)) == 1, "not surely worse by half"
    opt_out(world, told[74:80])
    await rounds(world)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert [(e.number, e.figure, e.limit) for e in harm.events(handle.id)][1:] == [(2, 0.4, pytest.approx(0.27))]


async def test_what_does_no_harm_is_not_paused_over_99_looks(world: World) -> None:
    handle = await all_told(world, 300, holdout=0.5)
    told = sends(world, handle.id)
    contact(world, handle.id, "treated", 60)
    contact(world, handle.id, "control", 60)
    for number in range(99):
        if number % 20 == 0:  # at 2.5 % in the end
            opt_out(world, told[number : number + 1])
        if number % 25 == 0:
            write_back(world, told[number : number + 1], "angry")
            write_back(world, told[number + 1 : number + 3], "thanks")
        assert await look(world) == HarmReport(looked_at=1)
    assert Harm(world.app.database).events(handle.id) == []
    assert world.outreaches.get(handle.id).paused is False


async def test_a_word_that_was_lost_is_said_again_under_the_same_name(world: World) -> None:
    handle = await all_told(world, 100)
    opt_out(world, sends(world, handle.id)[:30])
    first, again = await look(world), await look(world)
    assert again == first
    assert [(one.outreach, one.event_id) for one in first.harmful] == [(handle.id, "harm:opt_out-1")]
    await rounds(world, 2)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert (await look(world)).harmful == (), "it has heard it"
    write_back(world, sends(world, handle.id)[:30], "why")
    [more] = (await look(world)).harmful
    assert more.event_id == "harm:negative_tone-1+opt_out-1"
    assert "opted out" in more.words
    assert "asked why" in more.words


async def test_an_outreach_that_has_ended_is_not_looked_at(world: World) -> None:
    world.contacts_known()
    handle = await all_told(world, 30)
    opt_out(world, sends(world, handle.id))
    await world.finish(handle)
    assert await look(world) == HarmReport(looked_at=0)


async def test_one_that_cannot_be_judged_keeps_nobody_from_looking_at_the_others(world: World) -> None:
    handle = await all_told(world, 30)
    with world.app.database.write() as session:
        session.add(OutreachRow(id="a-1", trigger="t", key="k", episode=1, first_run="r", **AGES_AGO))
        session.flush()
        send = session.exec(select(SendRow).limit(1)).one().model_dump()
        session.add(SendRow(**{**send, "id": "s-1", "outreach_id": "a-1", "step": "other"}))
    opt_out(world, sends(world, handle.id)[:20])
    report = await look(world)
    assert (report.looked_at, [one.outreach for one in report.harmful]) == (2, [handle.id])
