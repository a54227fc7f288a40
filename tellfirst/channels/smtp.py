"""E-mail through an SMTP server: one connection for a micro-batch, on which each recipient has a mail of their own.

SMTP has no key and nobody to ask: what broke off after DATA may have been taken, and stays in doubt.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta

import aiosmtplib

from tellfirst.channels.base import Idempotency
from tellfirst.channels.http import Stopwatch
from tellfirst.channels.mail import Letterhead, Mail
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Answer, AnswerKind, Outbound

CODES: dict[int, AnswerKind] = {
    # RFC 5321 and 4954. The server itself is busy or broken: nothing was taken.
    421: AnswerKind.NOT_SENT,
    451: AnswerKind.NOT_SENT,
    452: AnswerKind.NOT_SENT,
    454: AnswerKind.NOT_SENT,
    455: AnswerKind.NOT_SENT,
    # This mailbox is locked, full or slow; another day it may work.
    450: AnswerKind.UNREACHED,
    # No such mailbox, or a domain that takes no mail (RFC 7504).
    521: AnswerKind.PERMANENT,
    550: AnswerKind.PERMANENT,
    551: AnswerKind.PERMANENT,
    553: AnswerKind.PERMANENT,
    556: AnswerKind.PERMANENT,
    # This text or this sender: the next mail would get the same answer.
    552: AnswerKind.POLICY_BLOCK,
    554: AnswerKind.POLICY_BLOCK,
    # Our login, or what we say and this server does not understand.
    500: AnswerKind.CONFIGURATION,
    502: AnswerKind.CONFIGURATION,
    503: AnswerKind.CONFIGURATION,
    504: AnswerKind.CONFIGURATION,
    530: AnswerKind.CONFIGURATION,
    534: AnswerKind.CONFIGURATION,
    535: AnswerKind.CONFIGURATION,
    538: AnswerKind.CONFIGURATION,
    555: AnswerKind.CONFIGURATION,
}
SUBJECTS: tuple[tuple[str, AnswerKind], ...] = (
    # RFC 3463: what an enhanced code is about says more than the plain one before it; the first that fits counts.
    ("4.2.", AnswerKind.UNREACHED),
    ("5.1.7", AnswerKind.CONFIGURATION),
    ("5.1.8", AnswerKind.CONFIGURATION),
    ("5.1.", AnswerKind.PERMANENT),
    ("5.2.1", AnswerKind.PERMANENT),
    ("5.2.2", AnswerKind.UNREACHED),
    ("5.2.3", AnswerKind.POLICY_BLOCK),
    ("5.3.4", AnswerKind.POLICY_BLOCK),
    ("5.6.", AnswerKind.POLICY_BLOCK),
    ("5.7.", AnswerKind.POLICY_BLOCK),
)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


class MailServer(Frozen):
    """Says where mail leaves: `security` is `starttls`, `tls` from the first byte, or `none` on a trusted network.

    `timeout` (seconds) bounds each step of a conversation.
    """

    host: str
    port: int
    security: str = "starttls"
    username: str = ""
    password: str = ""
    timeout: float = 15.0

    def connection(self, *, timeout: float | None = None) -> aiosmtplib.SMTP:
        """Returns a connection that is not open yet."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username or None,
            password=self.password or None,
            timeout=timeout or self.timeout,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
        )


class SmtpMail:
    """Sends mails through `server`; `timeout` (seconds) bounds a whole micro-batch of at most `in_flight` mails."""

    name = "smtp"
    idempotency: Idempotency = "none"
    key_window = timedelta(0)

    def __init__(self, server: MailServer, letterhead: Letterhead, *, timeout: float = 8.0, in_flight: int = 8) -> None:
        self.in_flight = in_flight
        self._server, self.letterhead, self._timeout = server, letterhead, timeout

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch one after the other; where the server is slow, the rest of it is `not_sent` for now."""
        watch = Stopwatch(now)
        # Written before the first leaves: a fault of ours must not cut off the answers to those under way.
        mails = [self.letterhead.write(message) for message in batch]
        answers: list[Answer] = []
        deadline = asyncio.get_running_loop().time() + self._timeout
        smtp = self._server.connection(timeout=self._timeout)
        trouble = None
        if any(mail is not None and not watch.overdue(one) for one, mail in zip(batch, mails, strict=True)):
            trouble = await self._connect(smtp)
        try:
            for number, (message, mail) in enumerate(zip(batch, mails, strict=True)):
                if mail is None:
                    kind, detail = AnswerKind.PERMANENT, "no_address"
                elif watch.overdue(message):
                    kind, detail = AnswerKind.NOT_SENT, "too_late"
                elif trouble is not None:
                    kind, detail = trouble
                elif number and watch.is_late:
                    answers.append(watch.slow(message))
                    continue
                else:
                    kind, detail = await self._send(smtp, mail, deadline, now)
                answers.append(Answer(send_id=message.send_id, kind=kind, provider_id=_id(kind, mail), detail=detail))
        finally:
            smtp.close()
        return answers

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Cannot say: SMTP only takes."""
        return None

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Cannot say: SMTP only takes."""
        return None

    async def close(self) -> None:
        """Has nothing to close: each micro-batch has a connection of its own."""

    async def _connect(self, smtp: aiosmtplib.SMTP) -> tuple[AnswerKind, str] | None:
        """Opens the connection and logs in; whatever goes wrong here, no mail was begun."""
        try:
            async with asyncio.timeout(self._timeout / 3):
                await smtp.connect()
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPNotSupported, ssl.SSLError) as error:
            code = getattr(error, "code", 0)
            kind = AnswerKind.NOT_SENT if 400 <= code < 500 else AnswerKind.CONFIGURATION
            return kind, str(code or type(error).__name__)
        except Exception as error:
            cause = error.__cause__ or error
            # Its certificate is not one that we trust, or it offers no encryption or no login that we know.
            wrong = isinstance(cause, ssl.SSLError) or type(error) is aiosmtplib.SMTPException
            return AnswerKind.CONFIGURATION if wrong else AnswerKind.NOT_SENT, type(cause).__name__
        return None

    async def _send(self, smtp: aiosmtplib.SMTP, mail: Mail, deadline: float, now: datetime) -> tuple[AnswerKind, str]:
        utf8 = not mail.to.isascii()
        if utf8 and not smtp.supports_extension("smtputf8"):
            return AnswerKind.UNREACHED, "no_smtputf8"
        begun = False
        try:
            async with asyncio.timeout_at(deadline):
                await smtp.mail(self.letterhead.sender.address, options=["SMTPUTF8"] if utf8 else [])
                await smtp.rcpt(mail.to, encoding="utf-8" if utf8 else "ascii")
                begun = True
                await smtp.data(self.letterhead.mime(mail, now=now))
        except aiosmtplib.SMTPResponseException as error:
            if not 400 <= error.code < 600:
                # No refusal: what was understood nobody knows, nor which answer comes next on this connection.
                smtp.close()
                return (AnswerKind.AMBIGUOUS if begun else AnswerKind.NOT_SENT), f"unknown code {error.code}"
            with contextlib.suppress(Exception):  # the next mail then finds the connection closed
                async with asyncio.timeout_at(deadline):
                    await smtp.rset()
            if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code >= 500:
                return AnswerKind.CONFIGURATION, str(error.code)
            return classify(error.code, error.message, of_text=begun)
        except Exception as error:
            smtp.close()
            return AnswerKind.AMBIGUOUS if begun else AnswerKind.NOT_SENT, type(error).__name__
        return AnswerKind.ACCEPTED, "250"


def classify(code: int, message: str, *, of_text: bool = False) -> tuple[AnswerKind, str]:
    """Returns what a refusal means, and its detail; `of_text` when it answers the mail itself, not its recipient."""
    found = _ENHANCED.match(message)
    enhanced = found[1] if found else ""
    detail = f"{code} {enhanced}".strip()
    kind = CODES.get(code)
    if kind is AnswerKind.CONFIGURATION:
        return kind, detail
    for subject, told in SUBJECTS:
        if enhanced.startswith(subject) if subject.endswith(".") else enhanced == subject:
            return told, detail
    if kind is None:
        return (AnswerKind.NOT_SENT if 400 <= code < 500 else AnswerKind.UNREACHED), f"unknown code {detail}"
    # After the text, a bare 550 is about the text: no address is given up on it.
    return (AnswerKind.POLICY_BLOCK if of_text and kind is AnswerKind.PERMANENT else kind), detail


def _id(kind: AnswerKind, mail: Mail | None) -> str:
    return mail.message_id if mail is not None and kind is AnswerKind.ACCEPTED else ""
