"""What leaves through Twilio: texts, WhatsApp messages and calls, as the settings say."""

from collections.abc import Callable

from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.twilio_account import TwilioAccount
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.channels.whatsapp_templates import read_templates
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings

STATUS, KEYS = "/twilio/status", "/twilio/voice"
"""Where the web process hears what becomes of a message or call, and of keys pressed in a call."""


def sms(settings: Settings) -> TwilioSms:
    """Returns what sends texts."""
    sender = _sender("sms", settings.sms_sender)
    return TwilioSms(_account("sms", settings), sender, status_callback=_callback(settings.public_url, STATUS))


def whatsapp(settings: Settings) -> TwilioWhatsApp:
    """Returns what sends WhatsApp messages."""
    sender = _sender("whatsapp", settings.whatsapp_sender)
    templates = read_templates(settings.whatsapp_templates)
    callback = _callback(settings.public_url, STATUS)
    return TwilioWhatsApp(_account("whatsapp", settings), sender, templates, status_callback=callback)


def voice(settings: Settings) -> TwilioVoice:
    """Returns what calls; without a public address no key would be heard, and without a number none reach a person."""
    sender = _sender("voice", settings.voice_sender)
    action, status = _callback(settings.public_url, KEYS), _callback(settings.public_url, STATUS)
    if action is None or status is None or not settings.voice_human:
        raise SettingsError(
            "calls need an address at which keys are heard, and a number at which key 0 reaches a person",
            where="TELLFIRST_VOICE=twilio",
            remedy="set TELLFIRST_PUBLIC_URL and TELLFIRST_VOICE_HUMAN",
        )
    return TwilioVoice(_account("voice", settings), sender, action=action, status_callback=status)


def _account(channel: str, settings: Settings) -> TwilioAccount:
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value()
    if not (sid and token):
        raise SettingsError(
            "Twilio needs an account and a token",
            where=f"TELLFIRST_{channel.upper()}=twilio",
            remedy="set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
        )
    return TwilioAccount(
        sid,
        token,
        base_url=settings.twilio_api_base or None,
        timeout=settings.provider_timeout,
        in_flight=settings.provider_in_flight,
    )


def _sender(channel: str, sender: str) -> str:
    if not sender:
        name = f"TELLFIRST_{channel.upper()}"
        raise SettingsError("Twilio needs a sender", where=f"{name}=twilio", remedy=f"set {name}_SENDER")
    return sender


def _callback(public_url: str, path: str) -> Callable[[str], str] | None:
    if not public_url:
        return None
    base = public_url.rstrip("/")
    return lambda send_id: f"{base}{path}?d={send_id}"
