"""Deliveries of every provider, duplicated, reordered, late and forged: the states are the truth, and nothing forged
counts. TELLFIRST_DELIVERIES says how many."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tellfirst.settings import Settings
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.engine import Database
from tellfirst.store.tables import SendRow
from tellfirst.web.app import create_app
from tests.figures import Figure
from tests.web.rows import opted_out, put_sends, unusable
from tests.web.signing import NOON, PUBLIC, SECRETS, as_json, given, sendgrid, twilio, webhook

DELIVERIES = int(os.environ.get("TELLFIRST_DELIVERIES", "400"))

# What happens to a message, as its provider would report it in order; the truth that its state must end at, and
# whether its customer opted out or its address is dead then. Chosen by hand, and not by the tables that are tried.
STORIES: dict[str, tuple[tuple[tuple[str, ...], str, bool, bool], ...]] = {
    "twilio": (
        (("queued", "sent", "delivered"), "delivered", False, False),
        (("queued", "sent", "delivered", "read"), "delivered", False, False),
        (("queued", "sent", "undelivered:30005"), "undelivered", False, True),
        (("queued", "undelivered:21610"), "undelivered", True, False),
        (("queued", "sending", "sent"), "accepted", False, False),
        (("queued", "sent", "undelivered:30008", "delivered"), "delivered", False, False),
        (("queued", "teleported"), "accepted", False, False),
        ((), "accepted", False, False),
    ),
    "sendgrid": (
        (("processed", "deferred", "delivered", "open", "click"), "delivered", False, False),
        (("processed", "bounce:5.1.1"), "undelivered", False, True),
        (("processed", "delivered", "spamreport"), "delivered", True, False),
        (("dropped:Bounced Address",), "undelivered", False, True),
        (("processed", "deferred"), "accepted", False, False),
        (("processed", "delivered", "machine_open", "unsubscribe"), "delivered", True, False),
    ),
    "resend": (
        (("email.sent", "email.delivered", "email.opened"), "delivered", False, False),
        (("email.sent", "email.bounced:Permanent"), "undelivered", False, True),
        (("email.sent", "email.bounced:Transient"), "undelivered", False, False),
        (("email.sent", "email.delivered", "email.complained"), "delivered", True, False),
        (("email.sent", "email.delivery_delayed"), "accepted", False, False),
    ),
    "fcm": (
        (("received", "opened"), "delivered", False, False),
        (("received", "dismissed"), "delivered", False, False),
        ((), "accepted", False, False),
    ),
}


class Message(NamedTuple):
    """Is one message and its story."""

    id: str
    provider: str
    provider_id: str
    events: tuple[str, ...]
    truth: str
    out: bool
    dead: bool


class Delivery(NamedTuple):
    """Is one request; `forged` names what is wrong with it, empty for a true one."""

    forged: str
    path: str
    body: bytes
    headers: dict[str, str]


def tell_messages(chance: random.Random, count: int) -> Iterator[Message]:
    for number in range(count):
        provider = chance.choice(sorted(STORIES))
        events, truth, out, dead = chance.choice(STORIES[provider])
        id_ = f"{number:032x}"
        yield Message(id_, provider, f"{'SM' if provider == 'twilio' else 'p-'}{id_}", events, truth, out, dead)


def deliver(m: Message, event: str, forged: str = "") -> Delivery:
    """Returns the request that reports an event, signed as its provider does, or as a forger can."""
    word, _, error = event.partition(":")
    at = NOON - timedelta(minutes=10) if forged == "stale" else NOON
    if m.provider == "twilio":
        path, form = (
            f"/twilio/status?d={m.id}",
            {"MessageSid": m.provider_id, "MessageStatus": word, "ErrorCode": error},
        )
        base = "https://elsewhere.example.org" if forged == "address" else PUBLIC
        body, headers = twilio(path, form, token="another" if forged == "key" else "0123456789abcdef", base=base)
    elif m.provider == "sendgrid":
        path, name = "/sendgrid/events", "open" if word == "machine_open" else word
        told = {"event": name, "send_id": m.id, "sg_message_id": f"{m.provider_id}.recv", "email": "a@example.org"}
        told |= {"reason": error} if word == "dropped" else {"status": error, "type": "bounce"}
        body = as_json([told | {"sg_machine_open": word == "machine_open"}])
        headers = sendgrid(body, at=at, **({"key": ec.generate_private_key(ec.SECP256R1())} if forged == "key" else {}))
    else:
        name = "push" if m.provider == "fcm" else "resend"
        data = {"email_id": m.provider_id, "tags": {"send_id": m.id}, "bounce": {"type": error}}
        told = {"receipts": [{"send": m.id, "status": word}]} if name == "push" else {"type": word, "data": data}
        path, body = "/push/receipts" if name == "push" else "/resend/events", as_json(told)
        secret = SECRETS["contacts" if forged == "key" else name]
        headers = webhook(body, secret, id_=f"msg-{m.id}", at=at, names="svix" if name == "resend" else "webhook")
    if forged == "changed":
        body = body.replace(m.id.encode(), m.id[::-1].encode()).replace(m.provider_id.encode(), b"SM")
    if forged == "path":
        path = {"/push/receipts": "/events", "/resend/events": "/contacts"}.get(path, "/sendgrid/events")
    if forged == "unsigned":
        headers = {"content-type": headers["content-type"]}
    return Delivery(forged, path, body, headers)


def forgeries(chance: random.Random, m: Message) -> Delivery:
    """Returns a lie about a message: the opposite of what became of it."""
    lie = {"twilio": "undelivered:21610", "sendgrid": "spamreport", "resend": "email.complained", "fcm": "opened"}
    ways = ["key", "changed", "path", "unsigned", "address" if m.provider == "twilio" else "stale"]
    if m.provider == "sendgrid":
        ways.remove("path")  # nobody else is signed for like it
    return deliver(m, lie[m.provider], chance.choice(ways))


def all_of_it(chance: random.Random, messages: list[Message], count: int) -> list[Delivery]:
    """Returns that many requests in any order: each true one at least once, some twice, and one in five a lie."""
    true = [deliver(m, event) for m in messages for event in m.events]
    lies = [forgeries(chance, chance.choice(messages)) for _ in range(count // 5)]
    again = chance.choices(true, k=max(0, count - len(true) - len(lies)))
    every = [*true, *again, *lies]
    chance.shuffle(every)
    return every


@pytest.mark.timeout(60 + DELIVERIES // 4)
async def test_the_states_are_the_truth(database: Database, figure: Figure) -> None:
    chance = random.Random(20261122)
    messages = list(tell_messages(chance, DELIVERIES // 4))
    put_sends(database, [(m.id, m.provider, m.provider_id) for m in messages])
    app = create_app(Settings.load(_env_file=None, **given()), database, clock=lambda: NOON)
    answers: Counter[tuple[str, int]] = Counter()
    requests = all_of_it(chance, messages, DELIVERIES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as client:
        for number, one in enumerate(requests):
            answer = await client.post(one.path, content=one.body, headers=one.headers)
            answers[one.forged, answer.status_code] += 1
            if number % 500 == 0:
                await app.state.work.work_off("sendgrid", None)
    await app.state.work.work_off("sendgrid", None)
    assert Arrivals(database).waiting() == 0
    with database.read() as session:
        ends = {m.id: session.get_one(SendRow, m.id).state for m in messages}
    wrong = [(m, ends[m.id]) for m in messages if ends[m.id] != m.truth]
    assert wrong == []
    assert [customer for customer, *_ in opted_out(database)] == sorted(f"c-{m.id}" for m in messages if m.out)
    assert unusable(database) == sorted(f"c-{m.id}" for m in messages if m.dead)
    forged = sum(n for (lie, _), n in answers.items() if lie)
    taken = sum(n for (lie, status), n in answers.items() if lie and status < 400)
    assert {status for (lie, status) in answers if not lie} == {204}
    assert {lie for lie, _ in answers} == {"", "key", "changed", "path", "unsigned", "stale", "address"}
    assert (taken, forged > DELIVERIES // 6) == (0, True)
    name = database.engine.dialect.name
    figure(
        f"receipts ({name}): {len(requests):,} deliveries about {len(messages):,} messages, {forged:,} forged;"
        f" {len(wrong)} states wrong, {taken} forged accepted"
    )
