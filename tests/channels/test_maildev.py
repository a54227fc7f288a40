"""A mail read by a program that others wrote: maildev, where Node.js has it; `MAILDEV` names another place."""

import asyncio
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tellfirst.channels.mail import Letterhead
from tellfirst.channels.smtp import MailServer, SmtpMail
from tellfirst.domain.message import AnswerKind, Rendered
from tests.channels.test_mail import BODY, PREFERENCES, UNSUBSCRIBE, Words, words
from tests.channels.test_smtp import send, to
from tests.figures import Figure
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SUBJECT = "Ihre Bestellung „K-12“ verspätet sich 🎉 " + "sehr " * 20


@pytest.fixture(scope="module")
def maildev() -> Iterator[tuple[int, httpx.Client]]:
    program = Path(os.environ.get("MAILDEV") or ROOT / "node_modules/.bin/maildev")
    if not program.exists():
        pytest.skip(f"maildev is not at {program}: npm install maildev@2, or MAILDEV")
    smtp, web = free_port(), free_port()
    options = ["--ip", "127.0.0.1", "--web-ip", "127.0.0.1", "--smtp", str(smtp), "--web", str(web)]
    process = subprocess.Popen([str(program), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        told, until = b"", time.monotonic() + 30
        while b"SMTP Server running" not in told or b"webapp running" not in told.lower():
            assert select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0], told
            told += os.read(process.stdout.fileno(), 4_096)
        with httpx.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False) as client:
            yield smtp, client
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_an_independent_reader_finds_the_approved_words(
    maildev: tuple[int, httpx.Client], figure: Figure
) -> None:
    port, client = maildev
    head = Letterhead(
        sender="Größe & Co <hilfe@müller.example>",
        reply_to="antwort@shop.example",
        postal_address="Weg 1, 10115 Berlin",
    )
    smtp = SmtpMail(MailServer(host="127.0.0.1", port=port, security="none"), head)
    body = BODY + "\n\n.\n\n" + "Zoë 👨‍👩‍👧 & <b>Söhne</b> " * 60
    people = [
        to(address, n).model_copy(update={"rendered": Rendered(subject=SUBJECT, body=body), "locale": "de"})
        for n, address in enumerate(("ana@example.com", "ben@bücher.example"))
    ]
    answers = await send(smtp, *people)
    assert [a.kind for a in answers] == [AnswerKind.ACCEPTED] * 2
    mails: list[dict[str, Any]] = []
    async with asyncio.timeout(10):  # it acknowledges a mail before it has read it
        while len(mails) < 2:
            mails = client.get("/email").json()
            await asyncio.sleep(0.02)
    mails.sort(key=lambda mail: str(mail["to"]))
    assert [mail["to"][0]["address"] for mail in mails] == ["ana@example.com", "ben@xn--bcher-kva.example"]
    mail = mails[0]
    assert mail["subject"] == SUBJECT.strip()
    assert mail["from"] == [{"address": "hilfe@xn--mller-kva.example", "name": "Größe & Co"}]
    assert words(mail["text"]).startswith(words(body))
    assert "Wählen Sie" in mail["text"]
    assert PREFERENCES in mail["text"]
    assert "Weg 1, 10115 Berlin" in mail["text"]
    page = Words(client.get(f"/email/{mail['id']}/html").text)
    assert words(page.text).startswith(words(body))
    assert "b" not in page.tags
    assert mail["headers"]["list-unsubscribe"] == f"<{UNSUBSCRIBE}>"
    assert mail["headers"]["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert mail["messageId"] == f"{0:032x}@xn--mller-kva.example"
    assert mail["headers"]["auto-submitted"] == "auto-generated"
    figure("e-mail, SMTP: maildev's own parser finds subject, both texts, sender and headers of 2 of 2 mails")
