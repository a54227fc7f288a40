"""How people are told that something waits for them: on the worker's console, by a signed webhook, by e-mail.

A notice holds ids, counts and words of our own, never a customer's data. No way repeats by itself; whoever calls does,
with the same id: a receiver of webhooks drops what it has, and a mailbox sees the same Message-ID.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

import aiosmtplib

from tellfirst.channels.smtp import MailServer
from tellfirst.channels.webhook import Delivery, Hook
from tellfirst.domain.base import Frozen

CONSOLE = "console"
EVERYBODY = "*"
logger = logging.getLogger("tellfirst.notices")


class Alert(Frozen):
    """Is one notice on its way: `about` names the workflow that needs a person, `level` the rung, 0 for no ladder."""

    id: str
    about: str
    kind: str
    level: int = 0
    to: str
    text: str
    what_to_do: str
    deadline: datetime | None = None
    at: datetime

    @property
    def key(self) -> str:
        """Returns a short name that every attempt to deliver this notice shares."""
        return f"ntc_{hashlib.sha256(self.id.encode()).hexdigest()[:32]}"


class Notifier(Protocol):
    """Is one way of telling people; trouble is an answer, not an exception."""

    async def tell(self, alert: Alert, *, now: datetime) -> Delivery:
        """Tells once."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


def write(alert: Alert) -> None:
    """Writes one line to the worker's log, which is its standard error."""
    level = f", level {alert.level}" if alert.level else ""
    logger.warning("%s for %s%s: %s (%s)", alert.kind, alert.to, level, alert.text, alert.what_to_do)


class Console:
    """Writes to the worker's log."""

    async def tell(self, alert: Alert, *, now: datetime) -> Delivery:
        """Writes one line."""
        write(alert)
        return Delivery(acknowledged=True, detail=CONSOLE)

    async def close(self) -> None:
        """Has nothing to close."""


class SignedNotices:
    """Posts to one address, signed as Standard Webhooks says; every attempt posts the same bytes under the same id."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    async def tell(self, alert: Alert, *, now: datetime) -> Delivery:
        """Posts once."""
        body = {
            "type": f"notice.{alert.kind}",
            "timestamp": alert.at.isoformat(),
            "data": {
                "about": alert.about,
                "kind": alert.kind,
                "level": alert.level,
                "to": alert.to,
                "text": alert.text,
                "deadline": alert.deadline.isoformat() if alert.deadline else None,
                "what_to_do": alert.what_to_do,
            },
        }
        return await self._hook.deliver(
            alert.key, json.dumps(body, sort_keys=True, separators=(",", ":")).encode(), now=now
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._hook.close()


class Mail:
    """Sends one mail to one address, a person's or a group's; SMTP has no key against a second copy."""

    def __init__(self, server: MailServer, sender: str, address: str) -> None:
        self._server, self._sender, self._address = server, sender, address

    async def tell(self, alert: Alert, *, now: datetime) -> Delivery:
        """Sends once."""
        message = EmailMessage()
        message["From"], message["To"] = self._sender, self._address
        message["Subject"] = " ".join(f"[{alert.kind.replace('_', ' ')}] {alert.about}".split())
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{alert.key}@{self._sender.rpartition('@')[2]}>"
        until = f"\nUntil {alert.deadline:%d %b %Y, %H:%M} UTC." if alert.deadline else ""
        message.set_content(f"{alert.text}\n\nFor {alert.to}.{until}\nRun: {alert.what_to_do}\n")
        try:
            async with self._server.connection() as smtp:
                await smtp.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return Delivery(acknowledged=False, detail=str(error.recipients[0].code))
        except aiosmtplib.SMTPResponseException as error:
            return Delivery(acknowledged=False, detail=str(error.code))
        except (OSError, aiosmtplib.SMTPException) as error:  # their words may hold an address
            return Delivery(acknowledged=False, detail=type(error.__cause__ or error).__name__)
        return Delivery(acknowledged=True, detail="250")

    async def close(self) -> None:
        """Has nothing to close: each mail has a connection of its own."""


class Notifiers:
    """Are the named ways of this installation, and whom each reaches."""

    def __init__(self, ways: Mapping[str, Notifier], to: Mapping[str, Sequence[str]]) -> None:
        self._ways, self._to = {CONSOLE: Console(), **ways}, to

    def ways_to(self, people: Sequence[str]) -> tuple[str, ...]:
        """Returns by which ways these roles, teams or people are reached, each once; whoever is not listed as `*`."""
        everybody = self._to.get(EVERYBODY, (CONSOLE,))
        return tuple(dict.fromkeys(way for name in people for way in self._to.get(name, everybody)))

    async def tell(self, way: str, alert: Alert, *, now: datetime) -> Delivery:
        """Tells once by a named way; one that is configured no longer delivers nothing."""
        notifier = self._ways.get(way)
        if notifier is None:
            return Delivery(acknowledged=False, detail="not_configured")
        return await notifier.tell(alert, now=now)

    async def close(self) -> None:
        """Closes connections."""
        for notifier in self._ways.values():
            await notifier.close()
