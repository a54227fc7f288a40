"""What mails and push messages leave through follows the settings; what is missing is named before anything starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from tellfirst.channels.push import FcmPush
from tellfirst.channels.resend import ResendMail
from tellfirst.channels.sendgrid import SendGridMail
from tellfirst.channels.smtp import SmtpMail
from tellfirst.errors import SettingsError
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings
from tellfirst.signing.links import MailNames
from tests.channels.test_mail import message
from tests.channels.test_push import account, private_key
from workers.mail import email, require_postal_address
from workers.push import push

__all__ = ["private_key"]


def settings(**given: Any) -> Settings:
    return Settings.load(_env_file=None, **given)


async def test_each_provider_is_made_of_its_settings(tmp_path: Path, private_key: str) -> None:
    sender = {"email_sender": "Shop <help@shop.example.com>", "email_batch": 7, "provider_in_flight": 3}
    smtp = email(settings(email="smtp", smtp_host="smtp.example.com", **sender))
    sendgrid = email(settings(email="sendgrid", email_api_key="k", **sender))
    resend = email(settings(email="resend", email_api_key="k", **sender))
    assert (type(smtp), smtp.in_flight) == (SmtpMail, 3)
    assert (type(sendgrid), sendgrid.in_flight) == (SendGridMail, 7)
    assert (type(resend), resend.in_flight) == (ResendMail, 3)
    file = tmp_path / "fcm.json"
    file.write_text(json.dumps(account(private_key, "https://oauth2.example.com")))
    fcm = push(settings(push="fcm", fcm_credentials=file))
    assert isinstance(fcm, FcmPush)
    for adapter in (smtp, sendgrid, resend, fcm):
        await adapter.close()


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"email": "smtp", "smtp_host": "smtp.example.com"}, "TELLFIRST_EMAIL_SENDER"),
        ({"email": "smtp", "email_sender": "help@example.com"}, "TELLFIRST_SMTP_HOST"),
        ({"email": "sendgrid", "email_sender": "help@example.com"}, "TELLFIRST_EMAIL_API_KEY"),
        ({"email": "resend", "email_sender": "help@example.com"}, "TELLFIRST_EMAIL_API_KEY"),
    ],
)
def test_what_mails_lack_is_named(given: dict[str, str], remedy: str) -> None:
    with pytest.raises(SettingsError, match=remedy):
        email(settings(**given))


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}"])
def test_a_key_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "fcm.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError):
        push(settings(push="fcm", fcm_credentials=file))
    with pytest.raises(SettingsError, match="TELLFIRST_FCM_CREDENTIALS"):
        push(settings(push="fcm"))


async def test_mails_have_names_that_nobody_else_can_make() -> None:
    key = "k" * 32
    given = {"email": "smtp", "smtp_host": "smtp.example.com", "email_sender": "help@example.com", "secret": key}
    adapter = email(settings(**given))
    assert isinstance(adapter, SmtpMail)
    mail = adapter.letterhead.write(message(send_id="5e" * 16))
    assert mail is not None
    assert list(MailNames(key.encode()).read(f"<{mail.message_id}>")) == ["5e" * 16]


def marketing() -> Playbook:
    return load_library([LIBRARY])["late_delivery"].playbook.model_copy(update={"purpose": "marketing"})


def test_nobody_advertises_by_mail_without_saying_where_they_are() -> None:
    given = {"email": "smtp", "smtp_host": "smtp.example.com", "email_sender": "help@example.com"}
    with pytest.raises(SettingsError, match="TELLFIRST_POSTAL_ADDRESS"):
        require_postal_address(settings(**given), [marketing()])
    require_postal_address(settings(**given, postal_address="1 Way, Bristol"), [marketing()])
    require_postal_address(settings(), [marketing()])
    require_postal_address(settings(**given), [one.playbook for one in load_library([LIBRARY]).values()])
