"""People are told by the ways of a file: on the console, by a signed webhook, by e-mail; trouble is an answer."""

import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tellfirst.channels.notices import Alert, Notifiers
from tellfirst.channels.notify_file import read_notifiers
from tellfirst.errors import SettingsError
from tests.channels.test_webhook import SECRET, Receiver, receiver
from tests.smtp import MailServer

__all__ = ["receiver"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERT = Alert(
    id="outreach/late_delivery/k/1:attention:2",
    about="outreach/late_delivery/k/1",
    kind="attention",
    level=2,
    to="Service lead",
    text="sending 'initial' stopped (page_failed)",
    what_to_do="tellfirst show outreach/late_delivery/k/1",
    deadline=NOON + timedelta(hours=1),
    at=NOON,
)


@pytest_asyncio.fixture(loop_scope="session")
async def mail() -> AsyncIterator[MailServer]:
    made = MailServer()
    server = await made.start()
    yield made
    server.close()


def notifiers(folder: Path, text: str) -> Notifiers:
    path = folder / "notify.toml"
    path.write_text(text)
    return read_notifiers(path)


def file(url: str = "http://127.0.0.1:1/", port: int = 1) -> str:
    return f"""
[ways.oncall]
webhook = "{url}"
secret = "{SECRET}"

[ways.leads]
email = "leads@example.com"

[smtp]
host = "127.0.0.1"
port = {port}
sender = "tellfirst@example.com"
security = "none"

[to]
"Service lead" = ["oncall", "leads"]
"Head of service" = ["oncall", "console"]
"*" = ["leads"]
"""


async def test_without_a_file_everybody_is_told_on_the_console(caplog: pytest.LogCaptureFixture) -> None:
    ways = read_notifiers(None)
    assert ways.ways_to(["Service lead", "anybody"]) == ("console",)
    with caplog.at_level(logging.WARNING, logger="tellfirst.notices"):
        assert (await ways.tell("console", ALERT, now=NOON)).acknowledged
    assert caplog.messages == [
        "attention for Service lead, level 2: sending 'initial' stopped (page_failed) "
        "(tellfirst show outreach/late_delivery/k/1)"
    ]
    await ways.close()


async def test_each_is_told_by_their_own_ways_and_others_like_everybody(tmp_path: Path) -> None:
    ways = notifiers(tmp_path, file())
    assert ways.ways_to(["Service lead"]) == ("oncall", "leads")
    assert ways.ways_to(["Head of service", "Service lead"]) == ("oncall", "console", "leads")
    assert ways.ways_to(["somebody"]) == ("leads",)
    await ways.close()


async def test_a_webhook_is_signed_and_says_no_more_than_it_must(tmp_path: Path, receiver: Receiver) -> None:
    ways = notifiers(tmp_path, file(receiver.url))
    receiver.statuses = [500]
    assert not (await ways.tell("oncall", ALERT, now=NOON)).acknowledged
    assert (await ways.tell("oncall", ALERT, now=NOON + timedelta(seconds=7))).acknowledged
    await ways.close()
    (first, before), (headers, body) = receiver.seen
    assert (first["webhook-id"], before) == (headers["webhook-id"], body), "a receiver can drop the second"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("notice.attention", "2026-03-01T12:00:00+00:00")
    assert told["data"] == {
        "about": "outreach/late_delivery/k/1",
        "kind": "attention",
        "level": 2,
        "to": "Service lead",
        "text": "sending 'initial' stopped (page_failed)",
        "deadline": "2026-03-01T13:00:00+00:00",
        "what_to_do": "tellfirst show outreach/late_delivery/k/1",
    }


async def test_a_mail_is_sent_to_its_address(tmp_path: Path, mail: MailServer) -> None:
    ways = notifiers(tmp_path, file(port=mail.port))
    assert (await ways.tell("leads", ALERT, now=NOON)).acknowledged
    [message] = mail.mails
    assert (message["From"], message["To"]) == ("tellfirst@example.com", "leads@example.com")
    assert message["Subject"] == "[attention] outreach/late_delivery/k/1"
    assert message["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert message.get_content().replace("\r", "") == (
        "sending 'initial' stopped (page_failed)\n\nFor Service lead.\nUntil 01 Mar 2026, 13:00 UTC.\n"
        "Run: tellfirst show outreach/late_delivery/k/1\n"
    )


async def test_a_mail_whose_receipt_was_lost_comes_again_under_the_same_id(tmp_path: Path, mail: MailServer) -> None:
    ways, mail.breaks = notifiers(tmp_path, file(port=mail.port)), 1
    first = await ways.tell("leads", ALERT, now=NOON)
    assert (first.acknowledged, first.detail) == (False, "SMTPServerDisconnected")
    assert (await ways.tell("leads", ALERT, now=NOON)).acknowledged
    assert len({message["Message-ID"] for message in mail.mails}) == 1


async def test_a_mail_that_is_refused_is_told_by_its_code_alone(tmp_path: Path, mail: MailServer) -> None:
    ways, mail.refusals = notifiers(tmp_path, file(port=mail.port)), ["550 no such box <leads@example.com>"]
    told = await ways.tell("leads", ALERT, now=NOON)
    assert (told.acknowledged, told.detail) == (False, "550")
    assert mail.mails == []


async def test_a_server_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
    ways = notifiers(tmp_path, file())
    assert (await ways.tell("leads", ALERT, now=NOON)).detail == "ConnectionRefusedError"
    assert (await ways.tell("oncall", ALERT, now=NOON)).detail == "ConnectError"
    assert (await ways.tell("gone", ALERT, now=NOON)).detail == "not_configured"
    await ways.close()


async def test_an_id_with_a_line_break_makes_no_header(tmp_path: Path, mail: MailServer) -> None:
    ways = notifiers(tmp_path, file(port=mail.port))
    odd = ALERT.model_copy(update={"about": "outreach/x/y\r\nBcc: all@example.com/1"})
    assert (await ways.tell("leads", odd, now=NOON)).acknowledged
    assert mail.mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[to]\n", ""),
        ('[to]\n"A" = ["b"]', "ways: 'A' is to be reached by 'b': write [ways.b]"),
        ('[to]\n"A" = []', "ways: 'A' is reached by nothing: list a way"),
        ('[ways.console]\nemail = "a@example.com"', "ways: 'console' is always there: give the way another name"),
        ('[ways.a]\nemail = "a@example.com"', "ways: mail needs a server: write [smtp] with 'host' and 'sender'"),
        ('[ways.a]\nwebhook = "https://example.com"', "ways.a: a way is either 'webhook' with its 'secret' or 'email'"),
        ("[ways.a]\n", "ways.a: a way is either 'webhook' with its 'secret' or 'email'"),
        ("[way]\n", "way: Extra inputs are not permitted"),
        ("[ways\n", "not TOML"),
    ],
)
def test_a_file_that_cannot_work_is_refused(tmp_path: Path, text: str, said: str) -> None:
    if not said:
        assert notifiers(tmp_path, text).ways_to(["A"]) == ("console",)
        return
    with pytest.raises(SettingsError) as refused:
        notifiers(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'notify.toml'}: {said}")


@pytest.mark.parametrize("secret", ["k" * 40, "whsec_c2hvcnQ="])
def test_a_weak_secret_is_refused_without_being_shown(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        notifiers(tmp_path, f'[ways.a]\nwebhook = "https://example.com"\nsecret = "{secret}"')
    assert secret not in str(refused.value)


def test_the_file_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    [shown] = [text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[ways." in text]
    assert notifiers(tmp_path, shown).ways_to(["Service lead", "somebody"]) == ("oncall", "leads", "console")


def test_a_way_whose_secret_is_not_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notify.toml"
    path.write_text('[ways.oncall]\nwebhook = "https://oncall.example.com"\nsecret = "abc"\n')
    with pytest.raises(SettingsError, match=r"notify\.toml, ways\.oncall: the secret"):
        read_notifiers(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="check TELLFIRST_NOTIFY"):
        read_notifiers(tmp_path / "none.toml")
