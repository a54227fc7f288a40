"""What leaves through whom is what the settings say; what cannot work is refused before anything starts."""

from pathlib import Path
from typing import Any, get_args

import pytest

from tellfirst.channels.outbox import Outbox
from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.domain.message import Channel
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings
from workers.providers import build_adapters

TWILIO: dict[str, Any] = {
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "t",
    "sms_sender": "MG" + "0" * 32,
    "whatsapp_sender": "+15550109999",
    "voice_sender": "+15550109999",
    "voice_human": "+15550108888",
    "public_url": "https://tell.example.com/",
}
NOWHERE: Any = None


def settings(folder: Path, **given: Any) -> Settings:
    return Settings.load(_env_file=None, data_dir=folder, **given)


async def test_every_channel_writes_to_the_outbox_until_it_has_a_provider(tmp_path: Path) -> None:
    adapters = build_adapters(settings(tmp_path), inbox=NOWHERE, calls=NOWHERE)
    assert set(adapters) == set(get_args(Channel))
    assert {type(adapter) for adapter in adapters.values()} == {Outbox}


async def test_texts_whatsapp_and_calls_leave_through_twilio(tmp_path: Path) -> None:
    given = settings(tmp_path, sms="twilio", whatsapp="twilio", voice="twilio", **TWILIO)
    assert given.is_live
    adapters = build_adapters(given, inbox=NOWHERE, calls=NOWHERE)
    assert [type(adapters[channel]) for channel in ("sms", "whatsapp", "voice")] == [
        TwilioSms,
        TwilioWhatsApp,
        TwilioVoice,
    ]
    assert {adapters[channel].idempotency for channel in ("sms", "whatsapp", "voice")} == {"lookup"}
    for adapter in adapters.values():
        await adapter.close()


@pytest.mark.parametrize(
    ("channel", "without"),
    [
        ("sms", "twilio_account_sid"),
        ("sms", "twilio_auth_token"),
        ("sms", "sms_sender"),
        ("whatsapp", "twilio_auth_token"),
        ("whatsapp", "whatsapp_sender"),
        ("voice", "twilio_auth_token"),
        ("voice", "voice_sender"),
        ("voice", "voice_human"),
        ("voice", "public_url"),
    ],
)
def test_what_a_channel_lacks_is_named(tmp_path: Path, channel: str, without: str) -> None:
    given = {name: value for name, value in TWILIO.items() if name != without}
    with pytest.raises(SettingsError) as refused:
        build_adapters(settings(tmp_path, **{channel: "twilio"}, **given), inbox=NOWHERE, calls=NOWHERE)
    assert f"TELLFIRST_{channel.upper()}=twilio" in str(refused.value)
    assert without.removeprefix("twilio_").upper() in str(refused.value)


def test_a_page_is_held_for_longer_than_a_request_takes() -> None:
    with pytest.raises(SettingsError, match="LEASE_SECONDS"):
        Settings.load(_env_file=None, provider_timeout=20)
    assert Settings.load(_env_file=None, provider_timeout=20, lease_seconds=30).provider_timeout == 20


def test_what_time_costs_is_in_a_currency() -> None:
    with pytest.raises(SettingsError, match="TELLFIRST_CURRENCY"):
        Settings.load(_env_file=None, agent_hour=3_600)
    rates = Settings.load(_env_file=None, agent_hour=3_600, currency="JPY").cost_rates
    assert (rates.agent_hour, rates.minor, rates.approval_minutes) == (3_600, 1, 5)
