"""One Twilio account: its official client, and what its answers to our requests mean, whatever is sent through it."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from twilio.rest import Client

from tellfirst.channels.http import NOTHING_WRITTEN
from tellfirst.channels.twilio_errors import classify
from tellfirst.channels.twilio_http import ProviderRefusedError, TwilioHttp
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

SKEW = timedelta(seconds=120)
"""How far the provider's clock may be behind ours when a message or call is looked up."""
LOOK_UP_LIMIT = 50

Request = Callable[[int], Awaitable[Answer]]
"""Makes one request for a message that has so many whole seconds left, and reads a 2xx answer."""
Callback = Callable[[str], str]
"""Makes the address for what is reported about a send from its id; no personal data, because the provider logs it."""


class TwilioAccount:
    """Makes requests of one account.

    `base_url` points at another server than Twilio's. `timeout` (seconds) bounds one request as a whole, and must be
    shorter than the lease of the page.
    """

    def __init__(
        self, sid: str, token: str, *, base_url: str | None = None, timeout: float = 8.0, in_flight: int = 8
    ) -> None:
        if not (sid and token):
            raise SettingsError(
                "Twilio needs an account and its token",
                remedy="set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or use the outbox",
            )
        self.in_flight = in_flight
        self._http = TwilioHttp(base_url=base_url, timeout=timeout, connections=in_flight)
        # The SDK reads the process environment for what it is not given; an environment of our own ends that.
        self.client = Client(sid, token, http_client=self._http, environment={"TWILIO_ACCOUNT_SID": sid})

    async def send(self, batch: Sequence[Outbound], requests: Sequence[Request], *, now: datetime) -> list[Answer]:
        """Makes the request of each message of the batch, all at once, and answers in the order of the batch."""
        begun = time.monotonic()
        return await asyncio.gather(
            *(_answer(message, request, now, begun) for message, request in zip(batch, requests, strict=True))
        )

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()


async def _answer(message: Outbound, request: Request, now: datetime, begun: float) -> Answer:
    left = (message.not_after - now).total_seconds() - (time.monotonic() - begun)
    if left < 1:
        return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail="too_late")
    try:
        return await request(int(left))
    except ProviderRefusedError as refused:
        kind, detail = classify(refused.status, refused.code)
        return Answer(send_id=message.send_id, kind=kind, detail=detail, retry_after=refused.retry_after)
    except NOTHING_WRITTEN as error:
        return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail=type(error).__name__)
    except Exception as error:
        # From here on bytes may have been written, so no error of any kind may lead to a second request.
        return Answer(send_id=message.send_id, kind=AnswerKind.AMBIGUOUS, detail=type(error).__name__)


def word(status: object) -> str:
    """Returns a status as the provider names it, empty when it is none."""
    return status if isinstance(status, str) and re.fullmatch(r"[a-z][a-z_-]{0,29}", status) else ""
