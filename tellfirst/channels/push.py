"""Push messages through Firebase Cloud Messaging's HTTP v1 API.

It has no idempotency key. Both platforms replace a notice on the device by a later one of the same collapse id, which
is the send id; still, what is in doubt is not sent again by itself.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import google.auth.exceptions
import google.auth.transport
import httpx
from google.oauth2.service_account import Credentials

from tellfirst.channels.base import Idempotency
from tellfirst.channels.http import UNREADABLE, HttpOnce, Stopwatch, Unanswered, seconds_to_wait, web_address
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

API = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
MOST_BYTES = 4_096
"""How long what a device receives may be."""
LONGEST_TTL = 2_419_200
"""Four weeks in seconds: what the provider keeps for a device that is off."""
OF_FCM = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
OF_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERRORS: dict[str, AnswerKind] = {
    "UNREGISTERED": AnswerKind.PERMANENT,
    "INVALID_ARGUMENT": AnswerKind.PERMANENT,  # of a token; of a field it is BadRequest that says so
    # The token is of another project's app: perhaps an old one, perhaps our settings, so it is not given up.
    "SENDER_ID_MISMATCH": AnswerKind.UNREACHED,
    "QUOTA_EXCEEDED": AnswerKind.NOT_SENT,
    "UNAVAILABLE": AnswerKind.NOT_SENT,
    "THIRD_PARTY_AUTH_ERROR": AnswerKind.CONFIGURATION,
    "INTERNAL": AnswerKind.AMBIGUOUS,
}


class FcmPush:
    """Sends push messages to the registration tokens of an app, with the key of a service account.

    `account` is the content of that key's file. `link` is where a tap leads in the app, before the send id; the app
    finds both in the message's data. `timeout` (seconds) bounds one request, and the fetching of a token.
    """

    name = "fcm"
    idempotency: Idempotency = "none"
    key_window = timedelta(0)

    def __init__(
        self,
        account: Mapping[str, Any],
        *,
        base_url: str = API,
        link: str = "",
        timeout: float = 8.0,
        in_flight: int = 8,
    ) -> None:
        project = account.get("project_id")
        if not isinstance(project, str) or not project:
            raise SettingsError("the key of the service account names no project", where="TELLFIRST_FCM_CREDENTIALS")
        self.in_flight, self._link = in_flight, link
        self._url = f"{web_address(base_url, 'the FCM API base')}/v1/projects/{quote(project, safe='')}/messages:send"
        self._http = HttpOnce(timeout=timeout, connections=in_flight)
        self._tokens = _Tokens(account, timeout)

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch at once, one request a message."""
        watch = Stopwatch(now)
        messages = [self._message(message, now) for message in batch]
        token = await self._tokens.get()
        if isinstance(token, Unanswered):
            return [Answer(send_id=one.send_id, kind=token.kind, detail=token.detail) for one in batch]
        if watch.is_late:
            return [watch.slow(one) for one in batch]  # the token is kept for the next time
        headers = {"Authorization": f"Bearer {token}"}
        return await asyncio.gather(
            *(self._send(one, message, headers, watch, now) for one, message in zip(batch, messages, strict=True))
        )

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Cannot say."""
        return None

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Cannot say: whether it arrived, only the app knows."""
        return None

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()

    def _message(self, message: Outbound, now: datetime) -> dict[str, Any]:
        data = {"send_id": message.send_id, **({"link": f"{self._link}{message.send_id}"} if self._link else {})}
        ttl = max(0, min(math.floor((message.not_after - now).total_seconds()), LONGEST_TTL))
        return {
            "token": message.address,
            "notification": {"title": message.rendered.subject, "body": message.rendered.body},
            "data": data,
            "android": {"collapseKey": message.send_id, "priority": "HIGH", "ttl": f"{ttl}s"},
            "apns": {
                "headers": {
                    "apns-collapse-id": message.send_id,
                    "apns-expiration": str(int(now.timestamp()) + ttl),
                    "apns-priority": "10",
                }
            },
        }

    async def _send(
        self, one: Outbound, message: Mapping[str, Any], headers: Mapping[str, str], watch: Stopwatch, now: datetime
    ) -> Answer:
        if watch.overdue(one):
            return Answer(send_id=one.send_id, kind=AnswerKind.NOT_SENT, detail="too_late")
        if size({**message["notification"], **message["data"]}) > MOST_BYTES:
            return Answer(send_id=one.send_id, kind=AnswerKind.POLICY_BLOCK, detail="too_large")
        answer = await self._http.post(self._url, {"message": message}, headers)
        if isinstance(answer, Unanswered):
            return Answer(send_id=one.send_id, kind=answer.kind, detail=answer.detail)
        if answer.status_code == 200:
            return _accepted(one, answer)
        kind, detail = classify(answer.status_code, _details(answer))
        wait = seconds_to_wait(answer.headers, now) if kind is AnswerKind.NOT_SENT else None
        return Answer(send_id=one.send_id, kind=kind, detail=detail, retry_after=wait)


def size(texts: Mapping[str, str]) -> int:
    """Returns how many bytes these take on their way to a device."""
    return sum(len(name.encode()) + len(text.encode()) for name, text in texts.items())


def classify(status: int, details: Sequence[Mapping[str, Any]]) -> tuple[AnswerKind, str]:
    """Returns what an HTTP answer other than 200 means, and its detail.

    A wrong token and a wrong field have one status and one code: `details[].@type` tells them apart.
    """
    code = next((str(one.get("errorCode", "")) for one in details if one.get("@type") == OF_FCM), "")
    fields = [
        str(violation.get("field", ""))
        for one in details
        if one.get("@type") == OF_REQUEST
        for violation in _mappings(one.get("fieldViolations"))
    ]
    detail = f"http_{status} {code}" if code in ERRORS else f"http_{status}"
    if status == 400 and any(one.get("@type") == OF_REQUEST for one in details):
        of_token = bool(fields) and all(field == "message.token" for field in fields)
        return (AnswerKind.PERMANENT if of_token else AnswerKind.POLICY_BLOCK), f"http_{status} BadRequest"
    if code in ERRORS:
        return ERRORS[code], detail
    if status == 429:
        return AnswerKind.NOT_SENT, detail
    if status >= 500 or status == 408 or 200 < status < 300:
        return AnswerKind.AMBIGUOUS, detail
    if status in (401, 403, 404) or status < 400:
        return AnswerKind.CONFIGURATION, detail
    return AnswerKind.POLICY_BLOCK, detail


def _accepted(message: Outbound, answer: httpx.Response) -> Answer:
    try:
        named = bool(answer.json()["name"])
    except UNREADABLE:
        named = False
    if not named:
        return Answer(send_id=message.send_id, kind=AnswerKind.AMBIGUOUS, detail="no message id")
    # The app reports by our id, which it finds in the data.
    return Answer(send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=message.send_id, detail="200")


def _details(answer: httpx.Response) -> list[Mapping[str, Any]]:
    try:
        details = answer.json()["error"]["details"]
    except UNREADABLE:
        return []
    return _mappings(details)


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


class _Tokens:
    """Keeps an access token, and fetches another in a thread before it ends; never two at once."""

    def __init__(self, account: Mapping[str, Any], timeout: float) -> None:
        try:
            self._credentials = Credentials.from_service_account_info(dict(account), scopes=[SCOPE])  # type: ignore[no-untyped-call]
        except ValueError:
            raise SettingsError(
                "the key of the service account is not one",
                where="TELLFIRST_FCM_CREDENTIALS",
                remedy="download a new private key of the service account as JSON",
            ) from None
        self._timeout, self._lock = timeout, asyncio.Lock()

    async def get(self) -> str | Unanswered:
        """Returns a token that is good; whatever goes wrong, no message was begun."""
        async with self._lock:
            if self._credentials.valid:
                return str(self._credentials.token)
            try:
                async with asyncio.timeout(self._timeout):
                    await asyncio.to_thread(self._credentials.refresh, _transport(self._timeout))
            except google.auth.exceptions.RefreshError as error:
                kind = AnswerKind.NOT_SENT if error.retryable else AnswerKind.CONFIGURATION
                return Unanswered(kind=kind, detail="token_refused")
            except Exception as error:
                return Unanswered(kind=AnswerKind.NOT_SENT, detail=f"token {type(error).__name__}")
            return str(self._credentials.token)


class _Fetched(Frozen):
    """Is an answer in the form that google-auth reads."""

    status: int
    headers: dict[str, str]
    data: bytes


def _transport(timeout: float) -> Any:
    """Returns what google-auth sends its request by: once, without environment and redirects."""

    def request(
        url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> _Fetched:
        try:
            with httpx.Client(timeout=timeout / 3, trust_env=False, follow_redirects=False) as client:
                answer = client.request(method, url, content=body, headers=dict(headers or {}))
        except httpx.HTTPError as error:
            raise google.auth.exceptions.TransportError(type(error).__name__) from None  # type: ignore[no-untyped-call]
        return _Fetched(status=answer.status_code, headers=dict(answer.headers), data=answer.content)

    return request
