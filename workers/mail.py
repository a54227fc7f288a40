"""What mails leave through, as the settings say."""

from collections.abc import Iterable

from tellfirst.channels import resend, sendgrid
from tellfirst.channels.base import Adapter
from tellfirst.channels.mail import Letterhead
from tellfirst.channels.resend import ResendMail
from tellfirst.channels.sendgrid import SendGridMail
from tellfirst.channels.smtp import MailServer, SmtpMail
from tellfirst.errors import SettingsError
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings
from tellfirst.signing.links import MailNames


def email(settings: Settings) -> Adapter:
    """Returns what sends mails."""
    if not settings.email_sender:
        raise _missing(settings, "a sender", "TELLFIRST_EMAIL_SENDER")
    letterhead = Letterhead(
        sender=settings.email_sender,
        reply_to=settings.email_reply_to,
        unsubscribe=settings.email_unsubscribe,
        postal_address=settings.postal_address,
        names=MailNames(settings.digest_key()),
    )
    timeout, in_flight = settings.provider_timeout, settings.provider_in_flight
    if settings.email == "smtp":
        if not settings.smtp_host:
            raise _missing(settings, "a server", "TELLFIRST_SMTP_HOST")
        server = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value(),
        )
        return SmtpMail(server, letterhead, timeout=timeout, in_flight=in_flight)
    key = settings.email_api_key.get_secret_value()
    if not key:
        raise _missing(settings, "a key", "TELLFIRST_EMAIL_API_KEY")
    if settings.email == "resend":
        base = settings.email_api_base or resend.API
        return ResendMail(key, letterhead, base_url=base, timeout=timeout, in_flight=in_flight)
    return SendGridMail(
        key,
        letterhead,
        base_url=settings.email_api_base or sendgrid.API,
        timeout=timeout,
        connections=in_flight,
        in_flight=settings.email_batch,
    )


def require_postal_address(settings: Settings, playbooks: Iterable[Playbook]) -> None:
    """Raises SettingsError when advertising could leave by mail without saying where its sender is."""
    if settings.email == "outbox" or settings.postal_address:
        return
    for playbook in playbooks:
        if playbook.purpose == "marketing" and "email" in playbook.channels:
            raise SettingsError(
                f"the playbook '{playbook.id}' advertises by mail, which has to say where its sender is",
                remedy="set TELLFIRST_POSTAL_ADDRESS",
            )


def _missing(settings: Settings, what: str, variable: str) -> SettingsError:
    return SettingsError(f"mails need {what}", where=f"TELLFIRST_EMAIL={settings.email}", remedy=f"set {variable}")
