"""What providers report and customers say, doubled, in any order, late, of nobody, forged and replayed."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import httpx
from sqlmodel import select

from tellfirst.client import OutreachClient
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.statements import table
from tellfirst.store.tables import ConsentRow, ContactPointRow, ContactRow, ReceiptRow, SendRow
from tellfirst.store.tables_arrivals import ArrivalRow
from tellfirst.store.tables_replies import HoldRow, ReplyRow
from tests.chaos.kinds.provider import judge
from tests.chaos.place import Place, number_of
from tests.chaos.report import Tallies
from tests.twilio_server import ACCOUNT_SID, AUTH_TOKEN
from tests.web.signing import twilio

EACH = 10
"""How often a round makes each fault."""
PUBLIC = "https://hooks.example.org"
STATUS, INBOUND = "/twilio/status", "/twilio/inbound"
BEFORE_DELIVERED = ("queued", "sending", "sent", "undelivered", "failed")
"""What a message that arrived is not any more, whatever comes last."""
TOUCHED = (ArrivalRow, ConsentRow, ContactPointRow, ContactRow, HoldRow, ReceiptRow, ReplyRow, SendRow)
"""Rows that a webhook could change."""


class Post(Frozen):
    """Is one request as it leaves: what is sent again is the same to the last byte."""

    path: str
    body: bytes
    headers: dict[str, str]

    @classmethod
    def signed(cls, path: str, form: dict[str, str], *, token: str = AUTH_TOKEN, base: str = PUBLIC) -> "Post":
        """Returns a form under the signature of whoever has the token."""
        body, headers = twilio(path, form, token=token, base=base)
        return cls(path=path, body=body, headers=headers)


class Outside:
    """Is everybody who posts to the web process."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, *posts: Post) -> list[int]:
        """Posts all at once and returns what they were answered."""
        answers = await asyncio.gather(*(self._client.post(p.path, content=p.body, headers=p.headers) for p in posts))
        return [answer.status_code for answer in answers]


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[Outside]:
    """Runs a web process and yields the world outside of it."""
    web = await place.web(TELLFIRST_PUBLIC_URL=PUBLIC)  # workers have none: nobody but us reports
    try:
        base = f"http://127.0.0.1:{place.environment['TELLFIRST_WEB_PORT']}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
            yield Outside(client)
    finally:
        place.kill(web)


def receipt(sid: str, status: str, *, send: str = "") -> tuple[str, dict[str, str]]:
    """Returns the path and the form by which Twilio reports a status."""
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "MessageStatus": status, "SmsSid": sid, "SmsStatus": status}
    return f"{STATUS}?d={send}" if send else STATUS, form


def said(number: str, words: str) -> Post:
    """Returns how Twilio hands on what somebody writes."""
    form = {"AccountSid": ACCOUNT_SID, "MessageSid": f"SM{secrets.token_hex(16)}", "From": number, "Body": words}
    return Post.signed(INBOUND, form)


def snapshot(place: Place) -> list[str]:
    """Returns every row that a webhook could change."""
    with place.database.read() as session:
        return sorted(
            f"{of.__tablename__} {tuple(one)}" for of in TOUCHED for one in session.execute(table(of).select())
        )


# -- rounds


async def receipts(place: Place, seen: Tallies, dice: Random) -> None:
    """Reports on messages that left in every way in which reports go wrong; none moves back, and nobody is told."""
    async with listening(place) as outside:
        told = await place.tell(5 * EACH)
        await place.settled(told)
        rows = dice.sample(sorted(place.entries(told).values(), key=lambda row: row.id), 5 * EACH)
        texts = place.texts()
        groups = [rows[n : n + EACH] for n in range(0, len(rows), EACH)]
        await _doubled(place, seen, outside, groups[0])
        await _reordered(place, seen, outside, groups[1], dice)
        await _replayed(place, seen, outside, groups[2])
        await _of_nobody(place, seen, outside, groups[3])
        await _forged(place, seen, outside, groups[3], dice)
        await OutreachClient(place.client).tell(told.outreach, "abort", by="ana", note="over")
        await place.result(told, within=120)
        await _late(place, seen, outside, groups[4])
        if place.texts() != texts:
            seen.wrong("webhooks: a receipt made something leave")
        judge(place, seen, [told])


async def early(place: Place, seen: Tallies, dice: Random) -> None:
    """Reports that messages arrived before their requests were answered."""
    async with listening(place) as outside:
        told = await place.tell(EACH, approve=False)
        for number in told.numbers:
            place.provider.fault("hold", to_suffix=number, times=1)
        leaving = asyncio.create_task(place.approve(place.handle(told), within=120))
        reported: set[str] = set()
        try:
            while len(reported) < told.count:
                fresh = [m for m in place.provider.accepted() if m["to"] in told.numbers - reported]
                sends = place.entries(told)
                answers = await outside.post(
                    *(Post.signed(*receipt(m["sid"], "delivered", send=sends[m["to"]].id)) for m in fresh)
                )
                seen.fault("webhook before the answer", answers.count(204))
                reported |= {m["to"] for m in fresh}
                place.provider.release()
                await asyncio.sleep(0.02)
        finally:
            place.provider.clear()
            place.provider.release()
        await leaving
        await place.settled(told)
        _all_are(place, seen, list(place.entries(told).values()), "delivered before the answer")
        judge(place, seen, [told])


ROUNDS = (receipts, early)


async def _doubled(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow]) -> None:
    once = _reports(rows, "delivered")
    _answered(seen, await outside.post(*once, *once, *once), 204)
    seen.fault("webhook doubled", len(once))
    _all_are(place, seen, rows, "doubled")
    with place.database.read() as session:
        ids = [row.provider_id for row in rows]
        kept = session.execute(table(ReceiptRow).select().where(table(ReceiptRow).c.provider_id.in_(ids))).all()
    if len(kept) != len(rows):
        seen.wrong(f"webhooks: {len(rows)} events are kept as {len(kept)}")


async def _reordered(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow], dice: Random) -> None:
    for row in rows:
        later = dice.sample(BEFORE_DELIVERED, 3)
        for status in ("delivered", *later):
            _answered(seen, await outside.post(Post.signed(*receipt(row.provider_id, status, send=row.id))), 204)
            _all_are(place, seen, [row], f"delivered before {status}")
        seen.fault("webhook reordered")


async def _replayed(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow]) -> None:
    sent, delivered = (_reports(rows, status) for status in ("sent", "delivered"))
    _answered(seen, [*await outside.post(*sent), *await outside.post(*delivered)], 204)
    before = snapshot(place)
    _answered(seen, await outside.post(*delivered, *sent), 204)
    seen.fault("webhook replayed", len(rows))
    _unchanged(place, seen, before, "replayed")
    _all_are(place, seen, rows, "replayed")


async def _of_nobody(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow]) -> None:
    """Reports on messages nobody knows; some name a send that is nobody's, or one whose message is another."""
    posts = [
        Post.signed(*receipt(f"SM{secrets.token_hex(16)}", status, send=send))
        for row in rows
        for status, send in (("delivered", ""), ("undelivered", secrets.token_hex(16)), ("failed", row.id))
    ]
    _answered(seen, await outside.post(*posts), 204)
    seen.fault("webhook of an unknown id", len(posts))
    _all_are(place, seen, rows, "of an unknown id", SendState.ACCEPTED)


async def _forged(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow], dice: Random) -> None:
    forged: dict[str, list[Post]] = {"wrong signature": [], "other address": [], "altered field": []}
    for row in rows:
        other = dice.choice([one for one in rows if one.id != row.id])
        path, form = receipt(row.provider_id, "delivered", send=row.id)
        genuine, number = Post.signed(path, form), number_of(int(row.customer_id.removeprefix("c-")))
        theirs, others = row.provider_id.encode(), other.provider_id.encode()
        unsigned = {name: value for name, value in genuine.headers.items() if name != "X-Twilio-Signature"}
        forged["wrong signature"] += [
            Post.signed(path, form, token="guessed"),
            genuine.model_copy(update={"headers": unsigned}),
            Post.signed(INBOUND, {"MessageSid": row.provider_id, "From": number, "Body": "STOP"}, token="guessed"),
        ]
        forged["other address"] += [
            Post.signed(path, form, base="https://hooks.example.com"),
            genuine.model_copy(update={"path": f"{STATUS}?d={other.id}"}),
            Post.signed(path, {**form, "From": number, "Body": "STOP"}).model_copy(update={"path": INBOUND}),
        ]
        forged["altered field"] += [
            genuine.model_copy(update={"body": genuine.body.replace(b"Status=delivered", b"Status=undelivered")}),
            genuine.model_copy(update={"body": genuine.body.replace(theirs, others)}),
            genuine.model_copy(update={"body": genuine.body + b"&ErrorCode=21610"}),
        ]
    before = snapshot(place)
    for how, posts in forged.items():
        _answered(seen, await outside.post(*posts), 403)
        seen.fault(f"webhook forged: {how}", len(posts))
    _unchanged(place, seen, before, "forged")


async def _late(place: Place, seen: Tallies, outside: Outside, rows: Sequence[SendRow]) -> None:
    """Reports on messages whose outreach has ended: they still say what became of each."""
    _answered(seen, await outside.post(*_reports(rows, "delivered")), 204)
    seen.fault("webhook late", len(rows))
    _all_are(place, seen, rows, "late")


# -- what is looked at


def _reports(rows: Sequence[SendRow], status: str) -> list[Post]:
    return [Post.signed(*receipt(row.provider_id, status, send=row.id)) for row in rows]


def _answered(seen: Tallies, answers: Sequence[int], status: int) -> None:
    if strange := {answer for answer in answers if answer != status}:
        seen.wrong(f"webhooks: answered {sorted(strange)} in place of {status}")


def _all_are(
    place: Place, seen: Tallies, rows: Sequence[SendRow], what: str, state: SendState = SendState.DELIVERED
) -> None:
    with place.database.read() as session:
        ids = table(SendRow).c.id.in_([row.id for row in rows])
        now = [row.state for row in session.exec(select(SendRow).where(ids))]
    if other := {one for one in now if one != state}:
        seen.wrong(f"webhooks: {what}: {sorted(other)} in place of {state}")


def _unchanged(place: Place, seen: Tallies, before: list[str], what: str) -> None:
    if changed := set(before) ^ set(snapshot(place)):
        seen.wrong(f"webhooks: {what}: changed {sorted({one.split()[0] for one in changed})}")
