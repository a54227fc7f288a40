"""The providers of an installation: what its settings name, and files in their place where they name none."""

from collections.abc import Callable

from tellfirst.channels.base import Adapter
from tellfirst.channels.outbox import Outbox
from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.webhook import Hook, HookFile, NoHook, Webhook
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings


def build_adapters(settings: Settings) -> dict[str, Adapter]:
    """Returns one adapter per channel; a channel without a provider writes to the outbox."""
    return {channel: _adapter(settings, channel, provider) for channel, provider in settings.providers.items()}


def _adapter(settings: Settings, channel: str, provider: str) -> Adapter:
    match channel, provider:
        case "sms", "twilio":
            return _sms(settings)
        case _:
            return Outbox(settings.outbox, channel)


def build_hook(settings: Settings) -> Hook:
    """Returns what has granted exceptions carried out; without an address files, or nothing in a live environment."""
    if not settings.carries_out:
        return NoHook()
    if not settings.exceptions_webhook:
        return HookFile(settings.data_dir / "exceptions")
    return Webhook(settings.exceptions_webhook, settings.exceptions_secret.get_secret_value())


def _sms(settings: Settings) -> TwilioSms:
    if not (settings.twilio_account_sid and settings.twilio_auth_token and settings.sms_sender):
        raise SettingsError(
            "texts through Twilio need an account, a token and a sender",
            where="TELLFIRST_SMS=twilio",
            remedy="set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TELLFIRST_SMS_SENDER",
        )
    return TwilioSms(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        settings.sms_sender,
        base_url=settings.twilio_api_base or None,
        status_callback=_callback(settings.public_url),
        timeout=settings.provider_timeout,
        in_flight=settings.provider_in_flight,
    )


def _callback(public_url: str) -> Callable[[str], str] | None:
    if not public_url:
        return None
    base = public_url.rstrip("/")
    return lambda send_id: f"{base}/twilio/status?d={send_id}"
