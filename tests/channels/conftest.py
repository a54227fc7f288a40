from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.twilio_account import Callback, TwilioAccount
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.domain.message import Outbound, Rendered
from tests.provider import Provider

Make = Callable[..., TwilioSms]


CONTENT = "HX" + "c" * 32
REGISTERED = "Your parcel {{1}} is late.\n\nWe tell you more by {{2}}."


def callback(send_id: str) -> str:
    return f"https://tell.example/twilio/status?d={send_id}"


def keys(send_id: str) -> str:
    return f"https://tell.example/twilio/voice?d={send_id}"


def outbound(send_id: str = "s-1", to: str = "+15550100001", **changes: object) -> Outbound:
    message = Outbound(
        send_id=send_id,
        channel="sms",
        address=to,
        rendered=Rendered(body="Your parcel is late. We tell you more tomorrow by 9."),
        locale="en",
        not_after=datetime.now(UTC) + timedelta(hours=2),
    )
    return message.model_copy(update=changes)


def account(provider: Provider, **options: object) -> TwilioAccount:
    given: dict[str, object] = {
        "sid": provider.account_sid,
        "token": provider.auth_token,
        "base_url": provider.base_url,
        "timeout": 5.0,
    }
    return TwilioAccount(**(given | options))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider") / "log.jsonl") as provider:
        yield provider


@pytest.fixture
def provider(_running: Provider) -> Provider:
    _running.clear()
    _running.release()
    _running.reset()
    return _running


@pytest.fixture
async def make(provider: Provider) -> AsyncIterator[Make]:
    made: list[TwilioSms] = []

    def sms(
        sender: str = provider.service_sid, status_callback: Callback | None = None, **options: object
    ) -> TwilioSms:
        made.append(TwilioSms(account(provider, **options), sender, status_callback=status_callback))
        return made[-1]

    yield sms
    for one in made:
        await one.close()


@pytest.fixture
def sms(make: Make) -> TwilioSms:
    return make()


@pytest.fixture
async def whatsapp(provider: Provider) -> AsyncIterator[TwilioWhatsApp]:
    provider.content(CONTENT, REGISTERED)
    one = TwilioWhatsApp(account(provider), "+15550109999", {"late": CONTENT}, status_callback=callback)
    yield one
    await one.close()


@pytest.fixture
async def voice(provider: Provider) -> AsyncIterator[TwilioVoice]:
    one = TwilioVoice(account(provider), "+15550109999", action=keys, status_callback=callback)
    yield one
    await one.close()


def templated(send_id: str = "s-1", to: str = "+15550100001", **changes: object) -> Outbound:
    """Returns a WhatsApp message made of the registered words."""
    rendered = Rendered(
        body="Your parcel A-17 & co. is late.\n\nWe tell you more by 9.",
        template="late",
        variables=("A-17 & co.", "9"),
    )
    return outbound(send_id, to, **{"channel": "whatsapp", "rendered": rendered, **changes})


def spoken(send_id: str = "s-1", to: str = "+15550100001", **changes: object) -> Outbound:
    """Returns a message that is read out."""
    return outbound(send_id, to, **{"channel": "voice", **changes})
