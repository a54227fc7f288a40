"""WhatsApp and calls from the plan to the keys: the real adapters, an independent provider, the real web process."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlmodel import select
from temporalio.client import WorkflowHandle

from tellfirst.cli.templates import words_of
from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import SendState
from tellfirst.store.tables import ConsentRow, ContactRow, SendRow
from tellfirst.store.tables_replies import ReplyRow
from tellfirst.web.app import create_app
from tests.provider import Provider
from tests.web.signing import PUBLIC, TOKEN, twilio
from tests.world import World
from workers import twilio as wired

NUMBER, OURS, HUMAN = "+14155550101", "+15550109999", "+15550108888"
CONTENTS = "HX" + "c" * 31
Handle = WorkflowHandle[Any, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider") / "log.jsonl") as provider:
        yield provider


@pytest_asyncio.fixture(loop_scope="session")
async def provider(running: Provider, world: World) -> AsyncIterator[Provider]:
    """Is the provider, with the words of late parcels registered, and the world sending through it."""
    running.clear()
    running.reset()
    contents = world.folder / "templates.toml"
    lines = []
    for number, words in enumerate(words_of(world.library["late_delivery"].playbook, {})):
        running.content(f"{CONTENTS}{number:x}"[:34], words.body)
        lines.append(f'{words.template} = "{CONTENTS}{number:x}"\n')
    contents.write_text("".join(lines))
    settings = world.settings.model_copy(
        update={
            "public_url": PUBLIC,
            "twilio_account_sid": running.account_sid,
            "twilio_auth_token": SecretStr(running.auth_token),
            "twilio_api_base": running.base_url,
            "whatsapp_sender": OURS,
            "whatsapp_templates": contents,
            "voice_sender": OURS,
            "voice_human": HUMAN,
        }
    )
    world.more = {"whatsapp": wired.whatsapp(settings), "voice": wired.voice(settings)}
    await world.with_settings()
    yield running


async def late_parcel(world: World) -> Handle:
    world.customer("c-1", addresses={"whatsapp": NUMBER})
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    return handle


async def outage(world: World, locale: str = "en") -> Handle:
    world.override("service_disruption", {'approvers = ["Duty manager"]': 'approvers = ["Service lead"]'})
    world.customer("c-1", addresses={"voice": NUMBER}, locale=locale)
    given = world.late("o-1").model_dump() | {
        "trigger": "service_disruption",
        "subjects": (Subject(key="a-1", customer="c-1", facts={}),),
        "facts": {"component": "<File> & uploads", "region": "Frankfurt"},
    }
    handle = await world.start(Condition(**given))
    await world.approve(handle.id)
    return handle


def stands(world: World, handle: Handle) -> dict[str, str]:
    return {one.channel: str(one.state) for one in world.sends.states(handle.id) if one.step == "initial"}


def rows(world: World, of: type[Any]) -> list[Any]:
    assert world.app is not None
    with world.app.database.read() as session:
        return list(session.exec(select(of)))


def heard(markup: str) -> list[str]:
    return [say.text or "" for say in ElementTree.fromstring(markup).iter("Say")]


async def press(world: World, send: str, path: str = "/twilio/voice", token: str = TOKEN, **form: str) -> Any:
    """Posts as Twilio does; returns the answer."""
    assert world.app is not None
    settings = world.settings.model_copy(
        update={
            "public_url": PUBLIC,
            "twilio_auth_token": SecretStr(TOKEN),
            "voice_sender": OURS,
            "voice_human": HUMAN,
        }
    )
    web = httpx.ASGITransport(create_app(settings, world.app.database))
    body, headers = twilio(f"{path}?d={send}", {"CallSid": "CA" + "1" * 32, "To": NUMBER, **form}, token=token)
    async with httpx.AsyncClient(transport=web, base_url="http://inside") as client:
        return await client.post(f"{path}?d={send}", content=body, headers=headers)


async def test_the_approved_words_arrive_once_although_the_first_answer_was_lost(
    world: World, provider: Provider
) -> None:
    provider.fault("reset_after", times=1)
    handle = await late_parcel(world)
    await world.until(lambda: stands(world, handle) == {"whatsapp": SendState.INTENT})
    await world.pass_time(handle, seconds=20)
    await world.until(lambda: stands(world, handle) == {"whatsapp": SendState.ACCEPTED})
    (record,), (send,) = provider.accepted(), rows(world, SendRow)
    assert send.provider_id == record["sid"]
    assert (record["to"], record["form"]["From"]) == (f"whatsapp:{NUMBER}", f"whatsapp:{OURS}")
    assert record["body"].startswith(
        "Your order o-1 was due on 20 November 2026 and is late, sorry. Other orders of yours that are late too: 0.\n\n"
    )
    assert record["body"].endswith("\n\nWrite STOP to end these messages.")
    assert "Body" not in record["form"]


async def test_a_call_of_which_nothing_is_known_is_held_and_not_made_again(world: World, provider: Provider) -> None:
    provider.fault("reset_before", times=1)
    handle = await outage(world)
    await world.until(lambda: stands(world, handle) == {"voice": SendState.INTENT})
    await world.pass_time(handle, seconds=30)
    await world.until(lambda: stands(world, handle) == {"voice": SendState.UNKNOWN})
    assert provider.stats()["requests"] == 1
    assert provider.accepted() == []


async def test_a_template_that_is_not_registered_halts_the_channel_before_anything_leaves(
    world: World, provider: Provider
) -> None:
    world.more["whatsapp"]._templates.clear()  # type: ignore[attr-defined]
    handle = await late_parcel(world)
    await world.stuck(handle)
    why = {control.name: control.value for control in world.controls.on()}["channel:whatsapp"]
    assert why == "configuration:no ContentSid for template late_delivery_initial_en"
    assert provider.stats()["requests"] == 0


async def test_key_1_repeats_0_reaches_a_person_and_9_opts_out(world: World, provider: Provider) -> None:
    handle = await outage(world)
    await world.until(lambda: stands(world, handle) == {"voice": SendState.ACCEPTED})
    (record,), (send,) = provider.accepted(), rows(world, SendRow)
    said = heard(record["body"])
    assert said[0].startswith("Your account in Frankfurt is affected by a disruption. <File> & uploads may fail")
    assert record["status_callback"] == f"{PUBLIC}/twilio/status?d={send.id}"
    again = await press(world, send.id, Digits="1")
    assert (again.status_code, again.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert heard(again.text) == said
    assert heard((await press(world, send.id, Digits="5")).text) == said[1:]

    dial = ElementTree.fromstring((await press(world, send.id, Digits="0")).text).find("Dial")
    assert dial is not None
    assert (dial.text, dial.attrib["callerId"]) == (HUMAN, OURS)
    assert dial.attrib["action"] == f"{PUBLIC}/twilio/voice?d={send.id}"
    # Whether somebody took the call decides what is said after it.
    busy = await press(world, send.id, Digits="0", DialCallStatus="busy")
    assert heard(busy.text)[0].startswith("Nobody could take your call just now.")
    assert heard((await press(world, send.id, Digits="0", DialCallStatus="completed")).text) == []
    assert [(row.kind, row.needs, row.customer_id) for row in rows(world, ReplyRow)] == [("reply", "person", "c-1")]
    assert [(row.customer_id, row.reason_code) for row in rows(world, ContactRow)] == [("c-1", "service_down")]

    for _ in range(2):  # told twice it is one
        end = await press(world, send.id, Digits="9")
        assert heard(end.text) == ["Understood. We will not call or text you again. Goodbye."]
    assert [(row.customer_id, row.channel, row.purpose, row.allowed) for row in rows(world, ConsentRow)] == [
        ("c-1", "*", "*", False)
    ]
    assert sorted(row.kind for row in rows(world, ReplyRow)) == ["opt_out", "reply"]
    assert len(rows(world, ContactRow)) == 1  # to opt out is not to contact support

    done = await press(world, send.id, "/twilio/status", CallSid=record["sid"], CallStatus="completed")
    assert done.status_code == 204
    assert stands(world, handle) == {"voice": SendState.DELIVERED}


async def test_a_call_speaks_its_customers_language_and_hears_nobody_but_twilio(
    world: World, provider: Provider
) -> None:
    handle = await outage(world, "de")
    await world.until(lambda: stands(world, handle) == {"voice": SendState.ACCEPTED})
    (record,), (send,) = provider.accepted(), rows(world, SendRow)
    said = heard(record["body"])
    assert said[0].startswith("Ihr Konto in Frankfurt ist von einer Störung betroffen.")
    assert said[1] == "Um das noch einmal zu hören, drücken Sie die 1."
    assert heard((await press(world, send.id, Digits="1")).text) == said
    forged = await press(world, send.id, token="wrong", Digits="9")
    assert (forged.status_code, rows(world, ReplyRow)) == (403, [])
    unknown = await press(world, "f" * 32, Digits="1")
    assert heard(unknown.text)[0] == "We cannot repeat this message any more."
