"""E-mail through Resend's HTTP API, or another's of its form: the send id is its idempotency key."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import httpx

from tellfirst.channels.base import Idempotency
from tellfirst.channels.http import UNREADABLE, HttpOnce, Stopwatch, Unanswered, seconds_to_wait, web_address
from tellfirst.channels.mail import Letterhead, Mail
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

API = "https://api.resend.com"
ERRORS: dict[str, AnswerKind] = {
    # Our account, its key, its quota or our sender: no recipient may be used up on it.
    "missing_api_key": AnswerKind.CONFIGURATION,
    "restricted_api_key": AnswerKind.CONFIGURATION,
    "invalid_api_key": AnswerKind.CONFIGURATION,
    "invalid_from_address": AnswerKind.CONFIGURATION,
    "invalid_access": AnswerKind.CONFIGURATION,
    "invalid_region": AnswerKind.CONFIGURATION,
    "invalid_idempotency_key": AnswerKind.CONFIGURATION,
    "daily_quota_exceeded": AnswerKind.CONFIGURATION,
    "monthly_quota_exceeded": AnswerKind.CONFIGURATION,
    "rate_limit_exceeded": AnswerKind.NOT_SENT,
    # Another request with this key is under way, or was taken with other words: a mail of this send may have left.
    "concurrent_idempotent_requests": AnswerKind.AMBIGUOUS,
    "invalid_idempotent_request": AnswerKind.AMBIGUOUS,
    "security_error": AnswerKind.POLICY_BLOCK,
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[a-z_]{1,60}")


class ResendMail:
    """Sends mails one request each; a second request with the key of the first is answered as that one was.

    `timeout` (seconds) bounds one request. The provider keeps a key for 24 hours: an hour before that we stop asking.
    """

    name = "resend"
    idempotency: Idempotency = "key"
    key_window = timedelta(hours=23)

    def __init__(
        self, api_key: str, letterhead: Letterhead, *, base_url: str = API, timeout: float = 8.0, in_flight: int = 8
    ) -> None:
        if not api_key:
            raise SettingsError("mails through Resend need a key", remedy="set TELLFIRST_EMAIL_API_KEY")
        self.in_flight = in_flight
        self._url = web_address(base_url, "Resend's API base") + "/emails"
        self._authorization = {"Authorization": f"Bearer {api_key}"}
        self._letterhead = letterhead
        self._http = HttpOnce(timeout=timeout, connections=in_flight)

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch at once, one request a mail; the same mail makes the same request at every attempt."""
        watch = Stopwatch(now)
        # Written before the first request leaves: a fault of ours must not cut off the answers to those under way.
        mails = [self._letterhead.write(message) for message in batch]
        return await asyncio.gather(
            *(self._send(message, mail, watch, now) for message, mail in zip(batch, mails, strict=True))
        )

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Cannot say: it lists mails without their keys."""
        return None

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns the last event of a mail; `None` whatever goes wrong."""
        if not _ID.fullmatch(provider_id):
            return None
        try:
            answer = await self._http.request("GET", f"{self._url}/{provider_id}", headers=self._authorization)
            event = answer.json()["last_event"] if answer.status_code == 200 else ""
        except Exception:
            return None
        return (f"email.{event}", "") if isinstance(event, str) and _NAME.fullmatch(event) else None

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()

    async def _send(self, message: Outbound, mail: Mail | None, watch: Stopwatch, now: datetime) -> Answer:
        if mail is None:
            return Answer(send_id=message.send_id, kind=AnswerKind.PERMANENT, detail="no_address")
        if watch.overdue(message):
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail="too_late")
        key = {"Idempotency-Key": message.send_id}
        answer = await self._http.post(self._url, self._request(message, mail), self._authorization | key)
        if isinstance(answer, Unanswered):
            return Answer(send_id=message.send_id, kind=answer.kind, detail=answer.detail)
        if 200 <= answer.status_code < 300:
            return _accepted(message, answer)
        kind, detail = classify(answer.status_code, *_problem(answer))
        again = (AnswerKind.NOT_SENT, AnswerKind.AMBIGUOUS)  # with a key, what is in doubt may be asked for again
        wait = seconds_to_wait(answer.headers, now) if kind in again else None
        return Answer(send_id=message.send_id, kind=kind, detail=detail, retry_after=wait)

    def _request(self, message: Outbound, mail: Mail) -> dict[str, object]:
        reply_to = self._letterhead.reply_to
        return {
            "from": self._letterhead.sender.header,
            "to": [mail.to],
            **({"reply_to": reply_to.header} if reply_to is not None else {}),
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "headers": {**mail.headers, "Message-ID": f"<{mail.message_id}>"},
            "tags": [{"name": "send_id", "value": message.send_id}],
        }


def classify(status: int, name: str, of_recipient: bool) -> tuple[AnswerKind, str]:
    """Returns what an HTTP answer other than 2xx means, and its detail; `of_recipient` when it is about `to`."""
    detail = f"{status} {name}".strip()
    if status >= 500 or status == 408:
        return AnswerKind.AMBIGUOUS, detail
    if name in ERRORS:
        return ERRORS[name], detail
    if status == 429:
        return AnswerKind.NOT_SENT, detail
    if status == 409:  # about the key, whatever it is called: the first request decides
        return AnswerKind.AMBIGUOUS, detail
    if status in (401, 403, 404, 405) or status < 400:
        return AnswerKind.CONFIGURATION, detail
    if of_recipient:
        return AnswerKind.PERMANENT, detail
    # Not to its liking: the next mail would get the same answer.
    return AnswerKind.POLICY_BLOCK, detail


def _accepted(message: Outbound, answer: httpx.Response) -> Answer:
    try:
        id_ = answer.json()["id"]
    except UNREADABLE:
        id_ = ""
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        return Answer(send_id=message.send_id, kind=AnswerKind.AMBIGUOUS, detail="no message id")
    return Answer(send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=id_, detail=str(answer.status_code))


def _problem(answer: httpx.Response) -> tuple[str, bool]:
    """Returns the name of an error and whether it is about the recipient; its message may quote an address."""
    try:
        told = answer.json()
        name, words = told["name"], str(told.get("message", ""))
    except UNREADABLE:
        return "", False
    return name if isinstance(name, str) and _NAME.fullmatch(name) else "", "`to`" in words
