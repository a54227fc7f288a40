"""E-mail through SendGrid's v3 API: mails of the very same words leave in one request, each to its recipient alone.

It has no idempotency key, and asking it later needs a product that is sold apart: what is in doubt waits for its
events, which name our send id, and else for a person.
"""

import asyncio
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from tellfirst.channels.base import Idempotency
from tellfirst.channels.http import UNREADABLE, HttpOnce, Stopwatch, Unanswered, seconds_to_wait, web_address
from tellfirst.channels.mail import Letterhead, Mail, Mailbox
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError

API = "https://api.sendgrid.com"
MOST = 1_000
"""Recipients that one request may have."""
LINK = "-tellfirst-preferences-"
"""Stands in a mail for the link that differs from recipient to recipient; nothing else of it is ever replaced."""
UNTOUCHED = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}
"""The approved words leave as they are: no rewritten links, no pixel, no footer of the provider's."""

_TO = re.compile(r"personalizations\.(\d{1,4})\.to\b")
_FIELD = re.compile(r"[a-z][a-z0-9_.]{0,60}")
Written = tuple[Outbound, Mail]


class SendGridMail:
    """Sends mails through SendGrid; `timeout` (seconds) bounds one request, and `connections` run at once.

    Mails without anything of their recipient share a request with up to `in_flight` others; a kill, a time-out or a
    broken answer leaves all of a request in doubt.
    """

    name = "sendgrid"
    idempotency: Idempotency = "none"
    key_window = timedelta(0)

    def __init__(
        self,
        api_key: str,
        letterhead: Letterhead,
        *,
        base_url: str = API,
        timeout: float = 8.0,
        connections: int = 8,
        in_flight: int = 100,
    ) -> None:
        if not api_key:
            raise SettingsError("mails through SendGrid need a key", remedy="set TELLFIRST_EMAIL_API_KEY")
        self.in_flight = min(in_flight, MOST)
        self._url = web_address(base_url, "SendGrid's API base") + "/v3/mail/send"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._letterhead, self._lanes = letterhead, connections
        self._http = HttpOnce(timeout=timeout, connections=connections)

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends the batch in as few requests as its words allow, and answers each of it."""
        watch, answers = Stopwatch(now), dict[str, Answer]()
        written: list[Written] = []
        for message in batch:
            if watch.overdue(message):
                answers[message.send_id] = _answer(message, AnswerKind.NOT_SENT, "too_late")
            elif (mail := self._write(message)) is None:
                answers[message.send_id] = _answer(message, AnswerKind.PERMANENT, "no_address")
            else:
                written.append((message, mail))
        lanes = asyncio.Semaphore(self._lanes)
        # Built before the first request leaves: a fault of ours must not cut off the answers to those under way.
        requests = [(group, self._request(group)) for group in _alike(written)]
        for told in await asyncio.gather(*(self._post(*one, lanes, watch, now) for one in requests)):
            answers |= {answer.send_id: answer for answer in told}
        return [answers[message.send_id] for message in batch]

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Cannot say."""
        return None

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Cannot say: it tells by events alone."""
        return None

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()

    def _write(self, message: Outbound) -> Mail | None:
        # One whose link would read otherwise in HTML is written whole, and so leaves alone.
        link = LINK if html.escape(message.preferences_url) == message.preferences_url != "" else None
        return self._letterhead.write(message.model_copy(update={"preferences_url": link}) if link else message)

    def _request(self, group: Sequence[Written]) -> dict[str, Any]:
        mail, sender, reply_to = group[0][1], self._letterhead.sender, self._letterhead.reply_to
        return {
            "personalizations": [_personal(message, one) for message, one in group],
            "from": _mailbox(sender),
            **({"reply_to": _mailbox(reply_to)} if reply_to is not None else {}),
            "subject": mail.subject,
            "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
            "tracking_settings": UNTOUCHED,
        }

    async def _post(
        self, group: Sequence[Written], request: object, lanes: asyncio.Semaphore, watch: Stopwatch, now: datetime
    ) -> list[Answer]:
        waits = lanes.locked()
        async with lanes:
            if waits and watch.is_late:
                return [watch.slow(message) for message, _ in group]
            answer = await self._http.post(self._url, request, self._headers)
        if isinstance(answer, Unanswered):
            return [_answer(message, answer.kind, answer.detail) for message, _ in group]
        if answer.status_code == 202 and answer.headers.get("x-message-id"):
            # One id of theirs is that of the whole request: a mail is known by ours, which their events name.
            return [
                Answer(send_id=m.send_id, kind=AnswerKind.ACCEPTED, provider_id=m.send_id, detail="202")
                for m, _ in group
            ]
        return _refused(answer, [message for message, _ in group], now)


def _alike(written: Sequence[Written]) -> Iterator[list[Written]]:
    groups: dict[tuple[str, str, str], list[Written]] = {}
    for message, mail in written:
        groups.setdefault((mail.subject, mail.text, mail.html), []).append((message, mail))
    for group in groups.values():
        for start in range(0, len(group), MOST):
            yield group[start : start + MOST]


def _personal(message: Outbound, mail: Mail) -> dict[str, Any]:
    return {
        "to": [{"email": mail.to}],
        "headers": {**mail.headers, "Message-ID": f"<{mail.message_id}>"},
        "custom_args": {"send_id": message.send_id},
        **({"substitutions": {LINK: message.preferences_url}} if LINK in mail.text else {}),
    }


def _mailbox(mailbox: Mailbox) -> dict[str, str]:
    return {"email": mailbox.address, **({"name": mailbox.name} if mailbox.name else {})}


def _answer(message: Outbound, kind: AnswerKind, detail: str, retry_after: float | None = None) -> Answer:
    return Answer(send_id=message.send_id, kind=kind, detail=detail, retry_after=retry_after)


def _refused(answer: httpx.Response, group: Sequence[Outbound], now: datetime) -> list[Answer]:
    """Returns what an answer other than the expected one means for each mail of its request, refused as a whole."""
    fields = _fields(answer)
    kind, detail = classify(answer.status_code, fields)
    named = {int(found[1]) for field in fields if (found := _TO.match(field))}
    if kind is AnswerKind.PERMANENT:
        # Who is named has no address; the others were not processed, and leave without them.
        return [
            _answer(one, kind, detail) if number in named else _answer(one, AnswerKind.NOT_SENT, "refused_with_others")
            for number, one in enumerate(group)
        ]
    wait = _seconds(answer.headers, now) if kind is AnswerKind.NOT_SENT else None
    return [_answer(one, kind, detail, wait) for one in group]


def classify(status: int, fields: Sequence[str]) -> tuple[AnswerKind, str]:
    """Returns what an HTTP answer means, and its detail; `fields` are those it names as wrong."""
    detail = f"http_{status} {fields[0]}" if fields else f"http_{status}"
    if status >= 500 or status == 408 or 200 <= status < 300:  # 2xx: accepted, but not as they say they accept
        return AnswerKind.AMBIGUOUS, detail
    if status == 429:
        return AnswerKind.NOT_SENT, detail
    if status in (401, 403, 404, 405) or status < 400 or any(f.startswith(("from", "reply_to")) for f in fields):
        return AnswerKind.CONFIGURATION, detail
    if status == 400 and any(_TO.match(field) for field in fields):
        return AnswerKind.PERMANENT, detail
    # These words are too long or not to its liking: the next mail would get the same answer.
    return AnswerKind.POLICY_BLOCK, detail


def _fields(answer: httpx.Response) -> list[str]:
    # Only names of fields leave here: a message of the provider may quote an address.
    try:
        named = [error["field"] for error in answer.json()["errors"]]
    except UNREADABLE:
        return []
    return [field for field in named if isinstance(field, str) and _FIELD.fullmatch(field)]


def _seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    if (wait := seconds_to_wait(headers, now)) is not None:
        return wait
    reset = headers.get("x-ratelimit-reset", "")
    return max(1.0, int(reset) - now.timestamp()) if reset.isascii() and reset.isdigit() else None
