import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tellfirst.channels.sms import TwilioSms
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tests.channels.conftest import Make, outbound
from tests.http_connection import Connection
from tests.provider import Provider


def now() -> datetime:
    return datetime.now(UTC)


async def send_one(sms: TwilioSms, message: Outbound) -> Answer:
    (answer,) = await sms.send([message], now=now())
    return answer


async def test_after_a_reset_the_accepted_message_is_found_among_others(provider: Provider, sms: TwilioSms) -> None:
    since, message = now(), outbound("s-2")
    await send_one(sms, outbound("s-1", rendered=Rendered(body="Another text.")))
    provider.fault("reset_after", times=1)
    assert (await send_one(sms, message)).kind is AnswerKind.AMBIGUOUS
    await send_one(sms, outbound("s-3", "+15550100003"))
    sid = next(
        r["sid"] for r in provider.accepted() if r["to"] == message.address and r["body"] == message.rendered.body
    )
    found = await sms.look_up(message, since)
    assert found == Answer(send_id="s-2", kind=AnswerKind.ACCEPTED, provider_id=sid, detail="accepted")
    assert len(provider.accepted()) == 3


async def test_after_a_reset_a_message_never_accepted_is_not_found(provider: Provider, sms: TwilioSms) -> None:
    since, message = now(), outbound()
    provider.fault("reset_before")
    assert (await send_one(sms, message)).kind is AnswerKind.AMBIGUOUS
    assert await sms.look_up(message, since) is None
    assert provider.accepted() == []


async def test_a_killed_sender_finds_afterwards_what_was_in_flight(provider: Provider, make: Make) -> None:
    since, batch = now(), [outbound(f"s-{n}", f"+155501000{n}") for n in range(10, 14)]
    provider.fault("hold")
    sending = asyncio.create_task(make().send(batch, now=now()))
    await asyncio.to_thread(provider.wait, held=4)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    afterwards = make()
    found = [await afterwards.look_up(message, since) for message in batch]
    sids = {record["to"]: record["sid"] for record in provider.accepted()}
    assert [answer and answer.provider_id for answer in found] == [sids[message.address] for message in batch]


async def test_two_that_fit_are_not_told_apart(sms: TwilioSms) -> None:
    since, message = now(), outbound()
    await send_one(sms, message)
    await send_one(sms, message)
    assert await sms.look_up(message, since) is None


async def test_a_message_of_before_is_not_this_one(sms: TwilioSms) -> None:
    message = outbound()
    await send_one(sms, message)
    assert await sms.look_up(message, now() + timedelta(seconds=110)) is not None
    assert await sms.look_up(message, now() + timedelta(seconds=130)) is None


async def test_the_text_of_another_sender_is_not_ours(make: Make) -> None:
    message, since = outbound(), now()
    await send_one(make(sender="+15550109999"), message)
    assert await make().look_up(message, since) is None
    assert await make(sender="+15550108888").look_up(message, since) is None
    assert await make(sender="+15550109999").look_up(message, since) is not None


async def test_a_provider_that_cannot_be_asked_says_nothing(make: Make) -> None:
    message = outbound()
    await send_one(make(), message)
    assert await make(token="wrong").look_up(message, now()) is None
    assert await make(base_url="http://127.0.0.1:9", timeout=0.5).look_up(message, now()) is None


@pytest.mark.parametrize(
    ("listed", "fits"),
    [
        ({}, True),
        ({"to": "+15550100009"}, False),
        ({"direction": "inbound"}, False),
        ({"date_created": None}, False),
        ({"sid": "SM1"}, False),
    ],
)
async def test_what_the_provider_lists_is_not_believed_unseen(make: Make, listed: dict[str, str], fits: bool) -> None:
    message, since = outbound(), now()
    ours = {
        "sid": "SM" + "a" * 32,
        "to": message.address,
        "from": "+15550109999",
        "body": message.rendered.body,
        "direction": "outbound-api",
        "date_created": format_datetime(since),
        "status": "sent",
    }

    def answer(on: Connection, *_: object) -> None:
        on.answer(200, json.dumps({"messages": [ours | listed], "next_page_uri": None}))

    server = await asyncio.get_running_loop().create_server(lambda: Connection(answer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sms = make(sender="+15550109999", base_url=f"http://127.0.0.1:{port}")
        found = await sms.look_up(message, since)
        await sms.close()
    assert (found is not None) is fits
