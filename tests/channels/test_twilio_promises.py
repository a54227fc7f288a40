"""What holds of texts, WhatsApp and calls alike: each refusal has its class, and nothing lost is made a second time."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tellfirst.channels.base import Adapter
from tellfirst.channels.twilio_errors import ERRORS
from tellfirst.domain.message import AnswerKind, Outbound
from tests.channels.conftest import outbound, spoken, templated
from tests.figures import Figure
from tests.provider import Provider

LOST = 40
Message = Callable[..., Outbound]
EACH: list[tuple[str, Message]] = [("sms", outbound), ("whatsapp", templated), ("voice", spoken)]


@pytest.fixture
def adapter(request: pytest.FixtureRequest, channel: str) -> Any:
    return request.getfixturevalue(channel)


def many(message: Message, count: int) -> list[Outbound]:
    return [message(f"s-{n}", f"+1555010{n:04}") for n in range(count)]


@pytest.mark.parametrize(("channel", "message"), EACH)
async def test_every_code_is_answered_by_its_class_after_one_request(
    adapter: Adapter, channel: str, message: Message, provider: Provider, figure: Figure
) -> None:
    batch = many(message, len(ERRORS))
    for code, one in zip(ERRORS, batch, strict=True):
        provider.fault("refuse", code=code, to_suffix=one.address[-4:])
    answers = await adapter.send(batch, now=datetime.now(UTC))
    assert [(answer.kind, answer.detail) for answer in answers] == [(ERRORS[code], str(code)) for code in ERRORS]
    assert provider.stats()["requests"] == len(ERRORS)
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(Counter(ERRORS.values()).items()))
    figure(f"Twilio {channel}: {len(ERRORS)} codes provoked, each answered by its class after one request ({told})")


@pytest.mark.parametrize(("channel", "message"), EACH)
async def test_what_was_lost_is_found_or_held_and_never_made_twice(
    adapter: Adapter, channel: str, message: Message, provider: Provider, figure: Figure
) -> None:
    since, batch = datetime.now(UTC), many(message, 2 * LOST)
    provider.fault("reset_after", times=LOST)
    provider.fault("reset_before")
    answers = await adapter.send(batch, now=since)
    assert {answer.kind for answer in answers} == {AnswerKind.AMBIGUOUS}
    accepted = {record["to"].rpartition(":")[2]: record["sid"] for record in provider.accepted()}
    found = [await adapter.look_up(one, since) for one in batch]
    assert [one and one.provider_id for one in found] == [accepted.get(one.address) for one in batch]
    assert len(accepted) == LOST == len(provider.accepted())
    assert provider.stats()["requests"] == 2 * LOST
    assert adapter.idempotency == "lookup"
    figure(
        f"Twilio {channel}: {LOST} answers lost after acceptance, all found by look-up; {LOST} lost before, none found "
        f"and so held; {len(provider.accepted()) - LOST} made twice"
    )
