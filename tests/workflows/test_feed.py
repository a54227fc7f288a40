"""Other systems are told what happens: in order, until they acknowledge it, and nothing is lost on the way."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import standardwebhooks
from sqlmodel import col, update

from activities.feed import PARK_AFTER
from tellfirst.channels.feed_file import Endpoint
from tellfirst.channels.webhook import Webhook
from tellfirst.contract import feed_id
from tellfirst.domain.feed import CustomerReplied
from tellfirst.domain.message import AnswerKind
from tellfirst.store.feed import Feed
from tellfirst.store.tables_feed import FeedEventRow
from tellfirst.store.telling import tell
from tests.figures import Figure
from tests.http_connection import Connection
from tests.world import World
from workers.pool import start_feeds

SECRET, NEW = ("whsec_" + base64.b64encode(letter * 24).decode() for letter in (b"k", b"n"))
EVENTS = int(os.environ.get("TELLFIRST_FEED_EVENTS", "200"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMAS = Path(__file__).parents[2] / "docs/contract/events"

Answer = Callable[[dict[str, Any]], int]


class Helpdesk:
    """Is a system that is told: it verifies, remembers what it took, and answers as `answers` says of an event.

    With the status 0 it takes the event and breaks the connection off, with -1 it lets the caller wait for ever.
    """

    def __init__(self) -> None:
        self.took: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.asked: list[str] = []
        self.answers: Answer = lambda _: 204
        self.url, self.secret = "", SECRET

    def handle(self, connection: Connection, method: str, target: str, headers: dict[str, str], body: str) -> None:
        event = standardwebhooks.Webhook(self.secret).verify(body, headers)
        jsonschema.validate(event, json.loads((SCHEMAS / f"{event['type']}.json").read_text()))
        self.asked.append(headers["webhook-id"])
        status = self.answers(event)
        if 200 <= status < 300 or status == 0:
            self.took.append(event)
            self.ids.append(headers["webhook-id"])
        if status == 0:
            connection.reset()
        elif status > 0:
            connection.answer(status, "")

    def types(self, customer: str = "") -> list[str]:
        return [e["type"] for e in self.took if not customer or e["data"].get("customer") == customer]


@asynccontextmanager
async def helpdesk() -> AsyncIterator[Helpdesk]:
    made = Helpdesk()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(made.handle), "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told"
    yield made
    server.close()


async def listen(world: World, desk: Helpdesk, *, secrets: tuple[str, ...] = (SECRET,), types: str = '["*"]') -> None:
    """Lets the world tell a helpdesk."""
    path = world.folder / "events.toml"
    named = f'name = "desk-{world.key}"\nurl = "{desk.url}"\nsecrets = {json.dumps(secrets)}\ntypes = {types}\n'
    path.write_text(f"[[endpoint]]\n{named}")
    await world.with_settings(events_out=path)
    assert world.app is not None
    await start_feeds(world.app, world.env.client)
    world.ends(world.env.client.get_workflow_handle(feed_id(name_of(world))))


def name_of(world: World) -> str:
    return f"desk-{world.key}"


def happen(world: World, *replies: tuple[str, str]) -> None:
    """Lets customers reply: customer and reply."""
    assert world.app is not None
    happened = (
        CustomerReplied(customer=customer, outreach="outreach/o/1", channel="sms", reply=reply, kind="reply", tone="")
        for customer, reply in replies
    )
    with world.app.database.write() as session:
        tell(session, *happened, at=NOON)


def impatient(world: World, desk: Helpdesk) -> None:
    """Lets the world wait for an answer for a moment only."""
    assert world.app is not None
    endpoint = Endpoint(Webhook(desk.url, SECRET, timeout=0.3), ("*",))
    world.app.endpoints[name_of(world)] = endpoint  # type: ignore[index]


async def test_a_timeline_shows_what_a_customer_was_told(world: World) -> None:
    async with helpdesk() as desk:
        await listen(world, desk)
        world.customer("c-1")
        world.customer("c-2")
        world.sms.answers = [AnswerKind.ACCEPTED, AnswerKind.PERMANENT]
        handle = await world.start(world.late("o-1", "o-2"))
        await world.approve(handle.id)
        await world.until(lambda: {"message.sent", "message.failed"} <= set(desk.types()))
        world.contacts_known()
        await world.finish(handle)
        await world.until(lambda: "outcome.recorded" in desk.types())
    assert desk.types()[0] == "outreach.planned"
    sent = next(e for e in desk.took if e["type"] == "message.sent")
    assert sent["data"] == {
        "customer": sent["data"]["customer"], "outreach": handle.id, "playbook": "late_delivery",
        "reason_code": "where_is_my_order", "step": "initial", "channel": "sms", "send": sent["data"]["send"],
    }  # fmt: skip
    assert len(set(desk.ids)) == len(desk.ids)
    assert "+1415" not in json.dumps(desk.took)
    assert "parcel" not in json.dumps(desk.took)


async def test_nothing_is_lost_while_a_system_fails_and_is_away(world: World, figure: Figure) -> None:
    customers, random = 40, Random(1)
    async with helpdesk() as desk:
        await listen(world, desk)
        impatient(world, desk)
        failures = [500, 0, -1, 429]
        desk.answers = lambda _: failures.pop() if failures else random.choice([204] * 12 + [500, 0])
        happen(world, *((f"c-{n % customers}", f"r-{n}") for n in range(EVENTS)))
        await world.until(lambda: len(desk.took) >= EVENTS / 3)
        await world.rest()  # whoever told it stops half-way
        before = len(desk.took)
        await world.work()
        desk.answers = lambda _: 503
        asked = len(desk.asked)
        await world.until(lambda: len(desk.asked) >= asked + 2)
        desk.answers = lambda _: 204
        await world.until(lambda: len(set(desk.ids)) == EVENTS)
    wrong = 0
    for n in range(customers):
        told = [e["data"]["reply"] for e in desk.took if e["data"]["customer"] == f"c-{n}"]
        wrong += list(dict.fromkeys(told)) != [f"r-{k}" for k in range(n, EVENTS, customers)]
    again = len(desk.took) - EVENTS
    figure(
        f"events out, a receiver that fails, hangs and is away, a worker that stops after {before}: {EVENTS:,} events, "
        f"{len(set(desk.ids)):,} taken, {again} twice under the same id, {wrong} customers out of order"
    )
    assert wrong == 0


async def test_what_was_taken_and_not_answered_comes_again_under_its_name(world: World) -> None:
    async with helpdesk() as desk:
        await listen(world, desk)
        desk.answers = lambda _: 204 if len(desk.asked) > 1 else 0
        happen(world, ("c-1", "r-1"))
        await world.until(lambda: len(desk.took) == 2)
    assert len(set(desk.ids)) == 1
    assert desk.took[0] == desk.took[1]


async def test_a_secret_is_replaced_without_a_gap(world: World) -> None:
    async with helpdesk() as desk:
        await listen(world, desk, secrets=(NEW, SECRET))
        happen(world, ("c-1", "r-1"))
        await world.until(lambda: len(desk.took) == 1)
        desk.secret = NEW
        happen(world, ("c-1", "r-2"))
        await world.until(lambda: len(desk.took) == 2)


async def test_what_a_system_refuses_for_days_is_parked_and_people_are_told(world: World) -> None:
    async with helpdesk() as desk:
        await listen(world, desk)
        assert world.app is not None
        desk.answers = lambda event: 422 if event["data"]["reply"] == "r-1" else 204
        happen(world, ("c-1", "r-1"), ("c-1", "r-2"))
        await world.until(lambda: desk.took)  # its own customer's next one does not wait for it
        about, feed = feed_id(name_of(world)), Feed(world.app.database)
        assert feed.parked_at(name_of(world)) is None
        with world.app.database.write() as session:
            waiting = update(FeedEventRow).where(col(FeedEventRow.state) == "waiting")
            session.execute(waiting.values(failing_since=NOON - PARK_AFTER, next_at=NOON))
        await world.until(lambda: world.notices.of(about))
        (notice,) = world.notices.of(about)
        assert (notice.kind, notice.to) == ("events_parked", "operations")
        (standing,) = feed.standings()
        assert [event.detail for event in standing.parked] == ["422"]
        desk.answers = lambda _: 204
        feed.retry(name_of(world))
        await world.until(lambda: len(desk.took) == 2)
    assert [e["data"]["reply"] for e in desk.took] == ["r-2", "r-1"]


async def test_a_system_that_is_taken_out_of_the_file_is_told_no_more(world: World) -> None:
    async with helpdesk() as desk:
        await listen(world, desk)
        handle = world.env.client.get_workflow_handle(feed_id(name_of(world)))
        happen(world, ("c-1", "r-1"))
        await world.until(lambda: desk.took)
        assert world.app is not None
        Feed(world.app.database).register({}, now=NOON)  # as a worker does that starts without it
        happen(world, ("c-1", "r-2"))
        await world.rest()
        await world.work()
        await handle.result()
    assert [e["data"]["reply"] for e in desk.took] == ["r-1"]
