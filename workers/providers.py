"""The providers of an installation: what its settings name, and files in their place where they name none."""

from tellfirst.channels.base import Adapter
from tellfirst.channels.in_app import InAppInbox, Shelf
from tellfirst.channels.outbox import Outbox
from tellfirst.channels.person import PersonCalls
from tellfirst.channels.reach import Reach
from tellfirst.channels.webhook import Hook, HookFile, NoHook, Webhook
from tellfirst.settings import Settings
from workers.mail import email
from workers.push import push
from workers.twilio import sms, voice, whatsapp


def build_adapters(settings: Settings, *, inbox: Shelf, calls: Shelf) -> dict[str, Adapter]:
    """Returns one adapter per channel; a channel without a provider writes to the outbox.

    `inbox` keeps what stays in the app, and `calls` what a person is to say.
    """
    ours: dict[tuple[str, str], Adapter] = {
        ("in_app", "inbox"): InAppInbox(inbox),
        ("person", "calls"): PersonCalls(calls),
    }
    return {
        channel: ours.get((channel, provider)) or _adapter(settings, channel, provider)
        for channel, provider in settings.providers.items()
    }


def _adapter(settings: Settings, channel: str, provider: str) -> Adapter:
    match channel, provider:
        case "sms", "twilio":
            return sms(settings)
        case "whatsapp", "twilio":
            return whatsapp(settings)
        case "voice", "twilio":
            return voice(settings)
        case "email", ("smtp" | "sendgrid" | "resend"):
            return email(settings)
        case "push", "fcm":
            return push(settings)
        case _:
            return Outbox(settings.outbox, channel)


def build_hook(settings: Settings) -> Hook:
    """Returns what has granted exceptions carried out; without an address files, or nothing in a live environment."""
    if not settings.carries_out:
        return NoHook()
    if not settings.exceptions_webhook:
        return HookFile(settings.data_dir / "exceptions")
    secret = settings.exceptions_secret.get_secret_value()
    where = "TELLFIRST_EXCEPTIONS_WEBHOOK or …_SECRET"
    return Webhook(settings.exceptions_webhook, secret, where=where, reach=Reach(settings.inside_hosts))
