"""Twilio's Message resource, which texts and WhatsApp messages share."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from twilio.rest.api.v2010.account.message import MessageInstance

from tellfirst.channels.base import Idempotency
from tellfirst.channels.twilio_account import LOOK_UP_LIMIT, SKEW, Callback, TwilioAccount, word
from tellfirst.channels.twilio_errors import ERRORS
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

MAX_VALIDITY = 36_000
"""The longest time in seconds that the provider keeps a message in its queue."""

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_DEAD = frozenset({"failed", "canceled", "undelivered"})


class TwilioMessages:
    """Sends messages through Twilio, whose resource takes no idempotency key: after doubt it can only be asked.

    `sender` is a Messaging Service (`MG...`) or a number of ours. A subclass says which words make up a message.
    """

    name = "twilio"
    idempotency: Idempotency = "lookup"
    key_window = timedelta(0)
    prefix = ""
    """What stands before a phone number in the provider's addresses."""

    def __init__(self, account: TwilioAccount, sender: str, *, status_callback: Callback | None = None) -> None:
        if not sender:
            raise SettingsError("Twilio needs a sender", remedy="give a messaging service (MG…) or a number of yours")
        self.in_flight = account.in_flight
        self._account, self._status_callback = account, status_callback
        self._by_service = sender.startswith("MG")
        self._sender = sender if self._by_service else self.prefix + sender

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch, one request a message, and answers each; raises only what `status_callback` raises.

        Every message takes along how long it may wait in the provider's queue: until its `not_after`, which
        comes back as error 30036 instead of a text in the middle of the night.
        """
        # Built before the first request leaves: a fault of ours must not cut off the answers to those under way.
        requests = [partial(self._create, message.send_id, self._form(message)) for message in batch]
        return await self._account.send(batch, requests, now=now)

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when exactly one message with this recipient, text and sender was made since then.

        There is no filter by date in the request: the provider filters by the day it was sent, which a message still
        in its queue does not have yet.
        """
        try:
            to = self.prefix + message.address
            listed = await self._account.client.messages.list_async(to=to, limit=LOOK_UP_LIMIT)
            found = [one for one in listed if self._matches(one, message, since - SKEW)]
        except Exception:
            return None  # whatever went wrong, the answer is the same: it cannot say
        if len(found) != 1:
            return None
        return Answer(
            send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=found[0].sid, detail=word(found[0].status)
        )

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns status and error code of a message; `None` whatever goes wrong."""
        try:
            message = await self._account.client.messages(provider_id).fetch_async()
        except Exception:
            return None
        status = word(message.status)
        return (status, str(message.error_code or "")) if status else None

    async def close(self) -> None:
        """Closes connections."""
        await self._account.close()

    def _words(self, message: Outbound) -> dict[str, object]:
        raise NotImplementedError

    def _form(self, message: Outbound) -> dict[str, object]:
        form: dict[str, object] = {
            "to": self.prefix + message.address,
            "messaging_service_sid" if self._by_service else "from_": self._sender,
            **self._words(message),
        }
        if self._status_callback is not None:
            form["status_callback"] = self._status_callback(message.send_id)
        return form

    async def _create(self, send_id: str, form: dict[str, object], left: int) -> Answer:
        validity = min(left, MAX_VALIDITY)
        return _read(send_id, await self._account.client.messages.create_async(**form, validity_period=validity))

    def _matches(self, one: MessageInstance, message: Outbound, since: datetime) -> bool:
        return bool(
            one.direction == "outbound-api"
            and one.to == self.prefix + message.address
            and one.body == message.rendered.body
            and (one.messaging_service_sid if self._by_service else one.from_) == self._sender
            and one.date_created is not None
            and one.date_created >= since
            and _SID.fullmatch(one.sid or "")
        )


def _read(send_id: str, created: MessageInstance) -> Answer:
    sid, status, code = created.sid, word(created.status), created.error_code
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        return Answer(send_id=send_id, kind=AnswerKind.AMBIGUOUS, detail="no message id")
    dead = status in _DEAD
    if not dead and not code:
        return Answer(send_id=send_id, kind=AnswerKind.ACCEPTED, provider_id=sid, detail=status)
    known = ERRORS.get(code) if isinstance(code, int) else None
    # A code beside a status that may still deliver must not lead to a second message.
    kind = known or AnswerKind.UNREACHED
    if not dead and known in (None, AnswerKind.NOT_SENT, AnswerKind.QUIET_HOURS, AnswerKind.UNREACHED):
        kind = AnswerKind.AMBIGUOUS
    number = str(code) if isinstance(code, int) else ""
    detail = number if known else (f"unknown code {number}" if number else status)
    return Answer(send_id=send_id, kind=kind, provider_id=sid, detail=detail)
