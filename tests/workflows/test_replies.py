"""From a message to what its customer does with it: a reply that calls a person, a word and a click that end it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowHandle

from tellfirst.store.replies import ESCALATION, Replies
from tellfirst.web.app import create_app
from tellfirst.web.work import Work
from tests.web.signing import PUBLIC, TOKEN, twilio
from tests.workflows.test_sending import people, states
from tests.world import World


@asynccontextmanager
async def web(world: World) -> AsyncIterator[tuple[httpx.AsyncClient, Work]]:
    """Yields a client of the installation's web process, and the work behind what it acknowledges."""
    assert world.app is not None
    settings = world.settings.model_copy(update={"twilio_auth_token": SecretStr(TOKEN)})
    app = create_app(settings, world.app.database, clock=lambda: datetime.now(UTC))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside/") as client:
        yield client, app.state.work


async def told(world: World, count: int) -> WorkflowHandle[object, object]:
    """Returns an outreach whose first message everybody has."""
    await world.with_settings(public_url=PUBLIC)
    handle = await world.start(world.late(*people(world, count)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": count})
    return handle


async def write(client: httpx.AsyncClient, text: str, sid: str = "SM1") -> None:
    content, headers = twilio("/twilio/inbound", {"MessageSid": sid, "From": "+14150000000", "Body": text})
    answer = await client.post("/twilio/inbound", content=content, headers=headers)
    assert answer.status_code == 200


async def test_whoever_asks_for_a_person_is_heard_once_and_counted(world: World) -> None:
    handle = await told(world, 2)
    async with web(world) as (client, work):
        for _ in range(2):
            await write(client, "Can somebody call me back please?")
        assert await work.work_off(ESCALATION, world.client) == 1
        await world.until(lambda: len(world.escalations.open()) == 1)
    (one,) = world.escalations.open()
    assert (one.about, one.kind) == (handle.id, "raised")
    assert "asks for a person" in one.text
    assert world.app is not None
    (reply,) = Replies(world.app.database).of(handle.id)
    assert reply.customer == "c-0"
    assert world.contacts.known([reply.id]) == {reply.id}
    await world.client.acknowledge(handle.id, by="eve", done=True)


@pytest.mark.parametrize("how", ["word", "click", "doubt"])
async def test_nothing_follows_to_whoever_stopped_it(world: World, how: str) -> None:
    handle = await told(world, 2)
    async with web(world) as (client, _):
        if how == "click":
            sent = next(message for message in world.sms.sent if message.customer == "c-0")
            path = urlsplit(sent.unsubscribe_url).path.removeprefix(urlsplit(PUBLIC).path)
            answer = await client.post(path, content="List-Unsubscribe=One-Click")
            assert (answer.status_code, answer.content) == (200, b"")
        else:
            await write(client, "Stop. Thank you" if how == "word" else "We have got to STOP this bill")
    before = len(world.sms.sent)
    await world.pass_time(handle, days=3)
    await world.until(lambda: states(world, handle.id).get("withheld") == 1)
    assert {message.customer for message in world.sms.sent[before:]} == {"c-1"}
    reasons = {count.reason for count in world.sends.states(handle.id) if count.state == "withheld"}
    assert reasons == {"held" if how == "doubt" else "opted_out"}
