"""Text messages through Twilio's official SDK."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from tellfirst.channels.base import Idempotency
from tellfirst.channels.http import NOTHING_WRITTEN
from tellfirst.channels.twilio_errors import ERRORS, classify
from tellfirst.channels.twilio_http import ProviderRefusedError, TwilioHttp
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

MAX_VALIDITY = 36_000
"""The longest time in seconds that the provider keeps a message in its queue."""
SKEW = timedelta(seconds=120)
"""How far the provider's clock may be behind ours when a message is looked up."""
LOOK_UP_LIMIT = 50

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_DEAD = frozenset({"failed", "canceled", "undelivered"})


class TwilioSms:
    """Sends texts through Twilio, whose Message resource takes no idempotency key: after doubt it can only be asked.

    `sender` is a Messaging Service (`MG...`) or a number of ours. `base_url` points at another server than Twilio's.
    `status_callback` makes the address for receipts from a send id; it carries no personal data, because the
    provider logs it. `timeout` (seconds) bounds one request as a whole, and must be shorter than the lease of the page.
    """

    name = "twilio"
    idempotency: Idempotency = "lookup"

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        sender: str,
        *,
        base_url: str | None = None,
        status_callback: Callable[[str], str] | None = None,
        timeout: float = 8.0,
        in_flight: int = 8,
    ) -> None:
        if not (account_sid and auth_token and sender):
            raise SettingsError(
                "text messages need an account, its token and a sender",
                remedy="set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and the sender, or use the outbox",
            )
        self.in_flight = in_flight
        self._sender = sender
        self._by_service = sender.startswith("MG")
        self._status_callback = status_callback
        self._http = TwilioHttp(base_url=base_url, timeout=timeout, connections=in_flight)
        # The SDK reads the process environment for what it is not given; an environment of our own ends that.
        self._client = Client(
            account_sid, auth_token, http_client=self._http, environment={"TWILIO_ACCOUNT_SID": account_sid}
        )

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch, one request a message, and answers each; raises only what `status_callback` raises.

        Every message takes along how long it may wait in the provider's queue: until its `not_after`, which
        comes back as error 30036 instead of a text in the middle of the night.
        """
        # Built before the first request leaves: a fault of ours must not cut off the answers to those under way.
        forms = [self._form(message) for message in batch]
        begun = time.monotonic()
        return await asyncio.gather(
            *(self._create(message, form, now, begun) for message, form in zip(batch, forms, strict=True))
        )

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when exactly one message with this recipient, text and sender was made since then.

        There is no filter by date in the request: the provider filters by the day it was sent, which a message still
        in its queue does not have yet.
        """
        try:
            listed = await self._client.messages.list_async(to=message.address, limit=LOOK_UP_LIMIT)
            found = [one for one in listed if self._matches(one, message, since - SKEW)]
        except Exception:
            return None  # whatever went wrong, the answer is the same: it cannot say
        if len(found) != 1:
            return None
        return Answer(
            send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=found[0].sid, detail=_word(found[0].status)
        )

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns status and error code of a message; `None` whatever goes wrong."""
        try:
            message = await self._client.messages(provider_id).fetch_async()
        except Exception:
            return None
        status = _word(message.status)
        return (status, str(message.error_code or "")) if status else None

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()

    def _form(self, message: Outbound) -> dict[str, object]:
        form: dict[str, object] = {
            "to": message.address,
            "body": message.rendered.body,
            # The approved text leaves as it was approved.
            "smart_encoded": False,
            "messaging_service_sid" if self._by_service else "from_": self._sender,
        }
        if self._status_callback is not None:
            form["status_callback"] = self._status_callback(message.send_id)
        return form

    async def _create(self, message: Outbound, form: dict[str, object], now: datetime, begun: float) -> Answer:
        left = (message.not_after - now).total_seconds() - (time.monotonic() - begun)
        if left < 1:
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail="too_late")
        try:
            created = await self._client.messages.create_async(**form, validity_period=min(int(left), MAX_VALIDITY))
        except ProviderRefusedError as refused:
            kind, detail = classify(refused.status, refused.code)
            return Answer(send_id=message.send_id, kind=kind, detail=detail, retry_after=refused.retry_after)
        except NOTHING_WRITTEN as error:
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail=type(error).__name__)
        except Exception as error:
            # From here on bytes may have been written, so no error of any kind may lead to a second request.
            return Answer(send_id=message.send_id, kind=AnswerKind.AMBIGUOUS, detail=type(error).__name__)
        return _read(message.send_id, created)

    def _matches(self, one: MessageInstance, message: Outbound, since: datetime) -> bool:
        return bool(
            one.direction == "outbound-api"
            and one.to == message.address
            and one.body == message.rendered.body
            and (one.messaging_service_sid if self._by_service else one.from_) == self._sender
            and one.date_created is not None
            and one.date_created >= since
            and _SID.fullmatch(one.sid or "")
        )


def _read(send_id: str, created: MessageInstance) -> Answer:
    sid, status, code = created.sid, _word(created.status), created.error_code
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        return Answer(send_id=send_id, kind=AnswerKind.AMBIGUOUS, detail="no message id")
    dead = status in _DEAD
    if not dead and not code:
        return Answer(send_id=send_id, kind=AnswerKind.ACCEPTED, provider_id=sid, detail=status)
    known = ERRORS.get(code) if isinstance(code, int) else None
    # A code beside a status that may still deliver must not lead to a second message.
    kind = known or AnswerKind.PERMANENT
    if not dead and known in (None, AnswerKind.NOT_SENT):
        kind = AnswerKind.AMBIGUOUS
    number = str(code) if isinstance(code, int) else ""
    detail = number if known else (f"unknown code {number}" if number else status)
    return Answer(send_id=send_id, kind=kind, provider_id=sid, detail=detail)


def _word(status: object) -> str:
    return status if isinstance(status, str) and re.fullmatch(r"[a-z_]{1,30}", status) else ""
