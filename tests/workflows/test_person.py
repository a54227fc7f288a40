"""A person calls: accounts of high value become a task for somebody of ours, others get their message."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from temporalio.client import WorkflowHandle

from tellfirst.channels import receipts
from tellfirst.channels.person import NAME, PersonCalls
from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.preferences import Preference, Preferences
from tellfirst.store.receipts import Receipt, Receipts
from tests.world import World

PHONE = "+14155550101"
ADDRESSES = {"sms": PHONE, "person": "+14155550102"}


@pytest_asyncio.fixture(loop_scope="session")
async def calls(world: World) -> AsyncIterator[CallTasks]:
    """Yields the list of calls of a world where a person is among the channels."""
    database = Database(open_engine(world.settings.database))
    tasks = CallTasks(database)
    world.more["person"] = PersonCalls(tasks)
    world.override("service_disruption", {'approvers = ["Duty manager"]': 'approvers = ["Service lead"]'})
    await world.with_settings()
    yield tasks
    database.close()


async def down(world: World, *customers: str) -> WorkflowHandle[Any, Any]:
    """Starts and approves a disruption that these customers feel."""
    handle = await world.start(
        Condition(
            trigger="service_disruption",
            key=world.key,
            detected_at=datetime.now(UTC),
            facts={"component": "file uploads", "region": "Frankfurt"},
            subjects=tuple(Subject(key=f"a-{name}", customer=name) for name in customers),
        )
    )
    await world.approve(handle.id)
    return handle


def stood(world: World, handle: WorkflowHandle[Any, Any]) -> dict[str, str]:
    return {one.channel: str(one.state) for one in world.sends.states(handle.id) if one.step == "initial"}


def record(world: World, calls: CallTasks, *, reached: bool) -> None:
    """Records how the one open call went, as `tellfirst calls done` does."""
    (call,) = calls.open()
    now = datetime.now(UTC)
    assert calls.done(call.id, reached=reached, by="ana", now=now)
    kept = Receipts(world.app.database, judge=receipts.judge, meaning=receipts.meaning)  # type: ignore[union-attr]
    said = calls.standing_of(call.id)
    assert kept.take(Receipt(provider=NAME, provider_id=call.id, status=said, send=call.id), now=now)


async def test_an_account_of_high_value_is_called_and_the_others_are_texted(world: World, calls: CallTasks) -> None:
    world.customer("c-1", addresses=ADDRESSES, high_value=True, first_name="Ana")
    world.customer("c-2", addresses={"sms": "+14155550103", "person": "+14155550104"})
    handle = await down(world, "c-1", "c-2")
    await world.until(lambda: stood(world, handle) == {"person": SendState.ACCEPTED, "sms": SendState.ACCEPTED})
    (call,) = calls.open()
    assert (call.customer, call.script, call.address) == ("c-1", "", "")
    (shown,) = calls.named(call.id[:12])
    assert shown.address == "+14155550102"
    assert shown.script.startswith("Ask for Ana. Their account in Frankfurt is affected")
    record(world, calls, reached=True)
    assert stood(world, handle) == {"person": SendState.DELIVERED, "sms": SendState.ACCEPTED}
    assert not calls.open()
    assert calls.named(call.id)[0].script == ""


async def test_whoever_was_not_reached_is_told_by_the_next_channel(world: World, calls: CallTasks) -> None:
    world.customer("c-1", addresses=ADDRESSES, high_value=True)
    handle = await down(world, "c-1")
    await world.until(lambda: len(calls.open()) == 1)
    record(world, calls, reached=False)
    await world.pass_time(handle, minutes=16)
    await world.until(lambda: stood(world, handle).get("sms") == SendState.ACCEPTED)
    assert stood(world, handle) == {"person": SendState.UNDELIVERED, "sms": SendState.ACCEPTED}
    assert [message.address for message in world.sms.sent] == [PHONE]


async def test_a_text_and_a_call_that_were_lost_count_as_the_mail_that_was_not(world: World, calls: CallTasks) -> None:
    """Their own choice stands before the call, and the call before the playbook's other channels."""
    world.override("service_disruption", {"[choice]\n": '[choice]\norder = "playbook"\n'})
    await world.with_settings()
    world.sms.answers = [AnswerKind.PERMANENT]
    addresses = {**ADDRESSES, "email": "jo@example.org"}
    world.customer("c-1", addresses=addresses, high_value=True)
    assert world.app is not None
    Preferences(world.app.database).choose("c-1", Preference(channel="sms"), at=datetime.now(UTC))
    handle = await down(world, "c-1")
    await world.until(lambda: len(calls.open()) == 1)
    record(world, calls, reached=False)
    await world.pass_time(handle, minutes=16)
    await world.until(lambda: stood(world, handle).get("email") == SendState.ACCEPTED)
    tally = world.sends.tally(handle.id)
    assert (tally.accepted, tally.failed) == (1, 0)


async def test_a_call_that_nobody_makes_is_told_to_the_ladder(world: World, calls: CallTasks) -> None:
    world.customer("c-1", addresses=ADDRESSES, high_value=True)
    handle = await down(world, "c-1")
    await world.until(lambda: len(calls.open()) == 1)
    await world.pass_time(handle, minutes=16)
    await world.until(lambda: [e for e in world.escalations.of(handle.id) if e.kind == "calls_waiting"])
    (told,) = [e for e in world.escalations.of(handle.id) if e.kind == "calls_waiting"]
    assert told.text == "1 customer waits for a call about step 'initial'."
    assert not world.sms.sent
