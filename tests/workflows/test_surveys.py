"""The survey of a closed outreach, on the real server: both arms alike, through the gate, each at most once."""

import asyncio
import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlmodel import col, select, update
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.surveys import SurveyRequest
from tellfirst import contract
from tellfirst.cli.proof import Proof, Prover
from tellfirst.cli.wiring import opened
from tellfirst.domain.message import AnswerKind
from tellfirst.signing.registry import Registry
from tellfirst.store.consents import Consents
from tellfirst.store.engine import Database
from tellfirst.store.surveys import URGENCY, Surveys
from tellfirst.store.tables import RecipientRow, ReservationRow, SendRow
from tellfirst.store.tables_surveys import SurveyRow
from tests.world import World
from workflows.upkeep import UpkeepState

PEOPLE = [f"o-{n}" for n in range(12)]
ASKED = "How easy was it"


@pytest_asyncio.fixture(loop_scope="session")
async def closed(world: World) -> str:
    """Is an outreach to twelve people, about half of them held out, that has closed."""
    world.override(
        "late_delivery",
        {"holdout = 0\n": "holdout = 0.5\n", "share = 0.25\n": "share = 1\n", 'expires = "P5D"': 'expires = "P1D"'},
    )
    await world.with_settings(public_url="https://help.example", cap_count=9)
    for n, name in enumerate(PEOPLE):
        world.customer(name.replace("o-", "c-"), addresses={"sms": f"+14155550{n:03}"})
    world.contacts_known()
    handle = await world.start(world.late(*PEOPLE))
    await world.approve(handle.id)
    assert (await world.finish(handle)).ending == "measured"
    return handle.id


def database_of(world: World) -> Database:
    assert world.app is not None
    return world.app.database


def proven(world: World) -> Proof:
    """Returns what `tellfirst verify` finds."""
    with opened(world.settings) as here:
        registry = Registry.load(world.registry)
        far = datetime.now(UTC) + timedelta(days=60)
        return Prover(here, lambda: registry, now=far, log=None, step=lambda _: None).prove()


async def begin(world: World, outreach: str) -> WorkflowHandle[Any, Any]:
    handle = await world.env.client.start_workflow(
        contract.SURVEY,
        SurveyRequest(outreach=outreach),
        id=contract.survey_id(outreach),
        task_queue=contract.QUEUE,
    )
    world.ends(handle)
    return handle


async def ended(world: World, handle: WorkflowHandle[Any, Any]) -> None:
    with contextlib.suppress(RPCError):  # it may have ended already
        await world.env.fast_forward(handle)
    await handle.result()


async def asked(world: World, outreach: str) -> list[str]:
    """Lets the survey go to its end and returns who was asked."""
    handle = await begin(world, outreach)
    await ended(world, handle)
    return [m.customer for m in world.sms.sent if ASKED in m.rendered.body]


def rows(world: World, outreach: str) -> dict[str, tuple[str, str, str]]:
    """Returns arm, reason and state by customer."""
    with database_of(world).read() as session:
        query = (
            select(SurveyRow.customer_id, RecipientRow.arm, SurveyRow.reason, SendRow.state)
            .join(RecipientRow, RecipientRow.id == SurveyRow.recipient_id)  # type: ignore[arg-type]
            .join(SendRow, SendRow.id == SurveyRow.send_id, isouter=True)  # type: ignore[arg-type]
            .where(SurveyRow.outreach_id == outreach)
        )
        return {customer: (arm or "", reason, state) for customer, arm, reason, state in session.exec(query)}


async def test_both_arms_are_asked_alike_and_once(world: World, closed: str) -> None:
    told = {m.customer for m in world.sms.sent}
    everybody = sorted(name.replace("o-", "c-") for name in PEOPLE)
    assert 0 < len(told) < len(everybody)
    assert sorted(await asked(world, closed)) == everybody
    await world.keep_history(contract.survey_id(closed), "surveys/asked")
    found = rows(world, closed)
    assert {arm for arm, _, _ in found.values()} == {"treated", "control"}
    assert {state for _, _, state in found.values()} == {"accepted"}
    texts = [m.rendered.body for m in world.sms.sent if ASKED in m.rendered.body]
    assert len({re.sub(r"https://\S+", "LINK", text) for text in texts}) == 1, "the same words, whoever was told"
    assert len({re.search(r"https://help\.example/s/\S+", text)[0] for text in texts}) == len(everybody)  # type: ignore[index]
    with database_of(world).read() as session:
        places = session.exec(select(ReservationRow).where(ReservationRow.urgency == URGENCY)).all()
    assert len(places) == len(everybody), "a question takes a place of its own"
    assert proven(world).promises_broken == []
    with database_of(world).write() as session:
        session.execute(update(SurveyRow).where(col(SurveyRow.customer_id) == "c-1").values(customer_id="c-2x"))
        session.execute(update(SendRow).where(col(SendRow.customer_id) == "c-3").values(nonce="0" * 64))
    # Of c-3 whatever was told before too, where it was told.
    assert proven(world).unauthorised == 1 + sum(m.customer == "c-3" for m in world.sms.sent)


async def test_whoever_stopped_messages_is_not_asked_even_at_the_last_moment(world: World, closed: str) -> None:
    consents = Consents(database_of(world))
    consents.opt_out(["c-1", "c-2"], channel="sms", at=datetime.now(UTC), source="test")
    world.controls.turn_on("pause-all", "a drill", by="ana", at=datetime.now(UTC))
    handle = await begin(world, closed)
    await world.until(lambda: len(rows(world, closed)) == len(PEOPLE))
    consents.opt_out(["c-3"], channel="sms", at=datetime.now(UTC), source="test")
    await world.pass_time(handle, hours=5)
    assert not [m for m in world.sms.sent if ASKED in m.rendered.body], "all is paused"
    world.controls.turn_off("pause-all", by="ana", at=datetime.now(UTC))
    await ended(world, handle)
    found = rows(world, closed)
    assert {found[c][1] for c in ("c-1", "c-2")} == {"opted_out"}
    assert found["c-3"][1:] == ("", "withheld")
    asked_ones = {m.customer for m in world.sms.sent if ASKED in m.rendered.body}
    assert asked_ones == {c for c in found if c not in ("c-1", "c-2", "c-3")}


async def test_a_question_whose_answer_is_lost_is_asked_once(world: World, closed: str) -> None:
    world.sms.answers = [AnswerKind.AMBIGUOUS] * 2
    world.sms.in_flight = 3
    people = await asked(world, closed)
    assert len(people) == len(set(people)) == len(PEOPLE)
    states = [state for _, _, state in rows(world, closed).values()]
    assert sorted(set(states)) == ["accepted", "unknown"]
    assert states.count("unknown") == 2, "a person decides; nobody is asked twice"


async def test_a_worker_that_dies_on_the_way_asks_nobody_twice(world: World, closed: str) -> None:
    world.sms.in_flight, release = 4, asyncio.Event()
    world.sms.wait_after = (len(world.sms.sent) + 4, release)
    handle = await begin(world, closed)
    await world.until(lambda: world.sms.busy and len([m for m in world.sms.sent if ASKED in m.rendered.body]) == 4)
    stopping = asyncio.create_task(world.rest())
    release.set()
    await stopping
    world.sms.wait_after = None
    await world.work()
    await ended(world, handle)
    people = [m.customer for m in world.sms.sent if ASKED in m.rendered.body]
    assert len(people) == len(set(people)) == len(PEOPLE)


async def test_nobody_is_asked_twice_in_ninety_days(world: World, closed: str) -> None:
    world.key = f"{world.key}-2"
    second = await world.start(world.late("o-1", "o-2"))
    await world.approve(second.id)
    await world.pass_time(second, hours=2)  # nobody hears of two things within an hour
    assert (await world.finish(second)).ending == "measured"
    await asked(world, closed)
    before = len(world.sms.sent)
    await asked(world, second.id)
    assert [reason for _, reason, _ in rows(world, second.id).values()] == ["asked_lately"] * 2
    assert len(world.sms.sent) == before


async def test_nobody_is_asked_before_the_outreach_has_closed_or_after_it_was_aborted(world: World) -> None:
    world.override("late_delivery", {"share = 0.25\n": "share = 1\n"})
    await world.with_settings(public_url="https://help.example")
    world.customer("c-1")
    world.contacts_known()
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    assert await asked(world, handle.id) == []
    await world.client.tell(handle.id, "abort", note="wrong data")
    assert (await world.finish(handle)).ending == "measured"
    assert Surveys(database_of(world)).waiting(now=datetime.now(UTC)) == []
    assert rows(world, handle.id) == {}
    await world.keep_history(contract.survey_id(handle.id), "surveys/nobody")


async def test_upkeep_begins_it_once(world: World, closed: str) -> None:
    surveys = Surveys(database_of(world))
    assert surveys.waiting(now=datetime.now(UTC)) == [closed]
    upkeep = await world.env.client.start_workflow(
        contract.UPKEEP,
        UpkeepState(since=datetime.now(UTC), rounds=3),
        id=f"upkeep-{world.key}",
        task_queue=contract.QUEUE,
    )
    world.ends(upkeep)
    world.ends(world.env.client.get_workflow_handle(contract.survey_id(closed)))
    await world.pass_time(upkeep, minutes=20)
    await world.until(lambda: surveys.waiting(now=datetime.now(UTC)) == [])
    await world.pass_time(upkeep, minutes=20)
    begun = [e for e in (await world.history(upkeep))["events"] if "START_CHILD" in e["eventType"]]
    assert len(begun) == 1


async def test_a_version_that_is_not_live_any_more_asks_nobody(world: World, closed: str) -> None:
    assert world.app is not None
    world.app.asking._gate._demanded = True
    handle = await begin(world, closed)
    await world.until(lambda: len(rows(world, closed)) == len(PEOPLE))
    await ended(world, handle)
    assert {state for _, _, state in rows(world, closed).values()} == {"withheld"}
    assert not [m for m in world.sms.sent if ASKED in m.rendered.body]
