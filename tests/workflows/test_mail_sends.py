"""Mails and push messages from the plan to the provider: doubt that a key dispels, and doubt that is held."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import SecretStr
from sqlmodel import select

from tellfirst.channels.base import Adapter
from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import SendState
from tellfirst.settings import Settings
from tellfirst.store.tables import SendRow
from tests.channels.test_push import Google, account, private_key
from tests.channels.test_resend import Mails
from tests.channels.test_sendgrid import take
from tests.channels.test_smtp import Sink, serving
from tests.figures import Figure
from tests.json_server import JsonServer, Reply
from tests.world import World
from workers.mail import email
from workers.push import push

__all__ = ["private_key"]


def sends(world: World, outreach: str) -> list[SendRow]:
    assert world.app is not None
    with world.app.database.read() as session:
        return list(session.exec(select(SendRow).where(SendRow.outreach_id == outreach)))


async def leaves_by(world: World, channel: str, adapter: Adapter) -> None:
    """Goes on with a channel's real adapter, and a web address for its links."""
    world.more = {channel: adapter}
    await world.with_settings(public_url="https://tell.example.com")


def settings(world: World, **given: Any) -> Settings:
    return world.settings.model_copy(update={"email_sender": "Shop <help@shop.example.com>", **given})


@pytest_asyncio.fixture(loop_scope="session")
async def mails(world: World) -> AsyncIterator[tuple[Mails, JsonServer]]:
    """Is Resend, with the world sending its mails through it."""
    kept = Mails()
    async with JsonServer(kept.take) as server:
        given = settings(world, email="resend", email_api_key=SecretStr("k"), email_api_base=server.base_url)
        await leaves_by(world, "email", email(given))
        yield kept, server


async def test_a_mail_that_was_accepted_unheard_is_asked_for_again_with_its_key_and_leaves_once(
    world: World, mails: tuple[Mails, JsonServer], figure: Figure
) -> None:
    kept, server = mails
    server.trouble.append("reset_after")
    world.customer("c-1", addresses={"email": "ana@example.com"}, first_name="Zoë")
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == [SendState.ACCEPTED])
    (row,) = sends(world, handle.id)
    assert (row.provider_id, row.attempts, row.adapter) == ("49a3999c-0001", 2, "resend")
    assert len(kept.sent) == 1
    assert [one.headers["idempotency-key"] for one in server.requests] == [row.id, row.id]
    assert server.requests[0].text == server.requests[1].text
    (mail,) = kept.sent
    assert mail["headers"]["List-Unsubscribe"].startswith("<https://tell.example.com/u/")
    assert "https://tell.example.com/p/" in mail["text"]
    assert mail["text"].startswith("Zoë, your order o-1 was due on ")
    assert set(mail["headers"]) == {"Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID"}
    figure("e-mail, Resend, whole outreach: reset after acceptance, 2 requests, 1 mail, send accepted")


async def test_a_provider_that_stays_silent_about_a_key_leaves_one_for_a_person(
    world: World, mails: tuple[Mails, JsonServer]
) -> None:
    kept, server = mails
    server.trouble += [Reply(500, {}, {"Retry-After": "0.1"})] * 40
    world.customer("c-1", addresses={"email": "ana@example.com"})
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: [s.attempts for s in sends(world, handle.id)] == [5], seconds=90)
    await world.pass_time(handle, seconds=60)
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == [SendState.UNKNOWN])
    assert kept.sent == []
    assert len(server.requests) == 5


async def test_a_mail_that_smtp_took_unheard_is_held_for_a_person(world: World, figure: Figure) -> None:
    sink = Sink()
    sink.breaks = 9
    with serving(sink) as port:
        given = settings(world, email="smtp", smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
        await leaves_by(world, "email", email(given))
        await held_as_unknown(world)
    assert sink.recipients == ["ana@example.com"]
    figure("e-mail, SMTP, whole outreach: broken off after acceptance, 1 mail, send unknown")


async def test_a_mail_that_sendgrid_took_unheard_is_held_for_a_person(world: World, figure: Figure) -> None:
    async with JsonServer(take) as server:
        server.trouble = ["reset_after"] * 9
        given = settings(world, email="sendgrid", email_api_key=SecretStr("k"), email_api_base=server.base_url)
        await leaves_by(world, "email", email(given))
        await held_as_unknown(world)
        assert len(server.requests) == 1
    figure("e-mail, SendGrid, whole outreach: reset after acceptance, 1 request, send unknown")


async def held_as_unknown(world: World) -> None:
    world.customer("c-1", addresses={"email": "ana@example.com"})
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == [SendState.INTENT])
    await world.pass_time(handle, seconds=60)
    await world.until(lambda: [s.state for s in sends(world, handle.id)] == [SendState.UNKNOWN])
    await world.until(lambda: "unknown_sends" in [n.kind for n in world.notices.of(handle.id)])
    assert [s.attempts for s in sends(world, handle.id)] == [1]


async def test_a_push_message_that_was_taken_unheard_is_held_and_the_next_one_arrives(
    world: World, private_key: str, tmp_path: Path, figure: Figure
) -> None:
    google = Google()
    async with JsonServer(google.take) as server:
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account(private_key, server.base_url)))
        given = settings(world, push="fcm", fcm_credentials=file, fcm_api_base=server.base_url, push_link="shop://n/")
        await leaves_by(world, "push", push(given))
        world.customer("c-1", addresses={"push": "token-1"}, locale="de")
        world.customer("c-2", addresses={"push": "token-2"})
        subjects = [
            Subject(key=f"p-{n}", customer=f"c-{n}", facts={"amount": "12.50 EUR", "retry_at": None}) for n in (1, 2)
        ]
        late = world.late("o-1")
        handle = await world.start(
            Condition(trigger="payment_failed", key=late.key, detected_at=late.detected_at, subjects=tuple(subjects))
        )
        server.trouble = [Reply(200, {"access_token": "at-1", "expires_in": 3600}), "reset_after"]
        google.tokens = 1
        await world.approve(handle.id)
        await world.until(lambda: len(google.messages) == 2)
        await world.pass_time(handle, seconds=60)
        await world.until(lambda: sorted(s.state for s in sends(world, handle.id)) == ["accepted", "unknown"])
    assert sorted(m["token"] for m in google.messages) == ["token-1", "token-2"]
    german = next(m for m in google.messages if m["token"] == "token-1")
    assert german["notification"]["title"] == "Ihre Zahlung hat nicht geklappt"
    assert "12" not in german["notification"]["body"].split("bis")[0]
    figure("push, FCM, whole outreach: reset after acceptance, 2 messages for 2 people, 1 accepted, 1 unknown")
