"""The in-app channel: messages stay within our own walls, in an inbox that the customer's app reads."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from tellfirst.channels.base import Idempotency
from tellfirst.domain.message import Answer, AnswerKind, Outbound

NAME = "in_app"
"""The adapter's name, which its receipts bear too."""
TOO_LATE = "too_late"


class Shelf(Protocol):
    """Keeps the items; the same send id is the same item."""

    def deliver(self, messages: Sequence[Outbound], *, now: datetime) -> set[str]:
        """Keeps what is not there yet nor too late, and returns the send ids of those that are there now."""
        ...

    def standing_of(self, send: str) -> str:
        """Returns `accepted`, `delivered` or `read`; empty for what is not there."""
        ...


class InAppInbox:
    """Puts messages into the inbox; the database's own trouble is the caller's, who repeats it under the same ids."""

    idempotency: Idempotency = "key"
    key_window = timedelta(days=3650)  # an item stays for longer than its message may be repeated

    def __init__(self, shelf: Shelf, *, in_flight: int = 50) -> None:
        self.name, self.in_flight = NAME, in_flight
        self._shelf = shelf

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Delivers a batch in one transaction; a customer whom nobody knows is answered `permanent`."""
        there = await asyncio.to_thread(self._shelf.deliver, batch, now=now)
        return [_answer(message, there, now) for message in batch]

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when the item is there."""
        if not await asyncio.to_thread(self._shelf.standing_of, message.send_id):
            return None
        return _accepted(message)

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns whether the customer has seen or read it."""
        word = await asyncio.to_thread(self._shelf.standing_of, provider_id)
        return (word, "") if word else None

    async def close(self) -> None:
        """Has nothing to close: the database is not ours."""


def _answer(message: Outbound, there: set[str], now: datetime) -> Answer:
    if message.send_id in there:
        return _accepted(message)
    if message.not_after <= now:
        return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail=TOO_LATE)
    return Answer(send_id=message.send_id, kind=AnswerKind.PERMANENT, detail="unknown_customer")


def _accepted(message: Outbound) -> Answer:
    return Answer(send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=message.send_id)
