"""Replies as other systems hand them on, mails above all: without what is quoted, and apart from programs' answers."""

from collections.abc import Callable
from datetime import datetime
from email.utils import parseaddr
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen, Outside
from tellfirst.domain.message import Channel
from tellfirst.policy.replies import Kind, Reading
from tellfirst.policy.replies import Replies as Reader
from tellfirst.signing.links import MailNames
from tellfirst.store.replies import ESCALATION, Incoming, Replies
from tellfirst.web.bodies import read_json
from tellfirst.web.openapi import described
from tellfirst.web.postings import checked
from tellfirst.web.quoted import without_quotes
from tellfirst.web.signatures import ANSWERS, Verifier

PATH = "/replies"
_NO = ("", "no", "none")

Line = Annotated[str, StringConstraints(max_length=2_000)]


class PostedReply(Outside):
    """Is one reply; of a mail its headers `in_reply_to`, `references`, `auto_submitted` and `precedence` as they came.

    `id` is the same for the same reply, such as a mail's Message-ID; `text` its plain text, quotation and all.
    """

    id: str = Field(min_length=1, max_length=998)
    channel: Channel = "email"
    sender: Line = Field(alias="from", min_length=1)
    subject: Line = ""
    text: str = Field(default="", max_length=500_000)
    in_reply_to: Line = ""
    references: str = Field(default="", max_length=20_000)
    auto_submitted: Line = ""
    precedence: Line = ""


class Taken(Frozen):
    """Says under which name a reply is kept, empty when it was here before, and what it was read as."""

    reply: str
    kind: str


def reply_routes(
    replies: Replies,
    reader: Reader,
    verifier: Verifier,
    names: MailNames,
    *,
    clock: Callable[[], datetime],
    wake: Callable[[str], None],
) -> APIRouter:
    """Returns the route to which mailboxes and apps hand on replies."""
    router = APIRouter()

    @router.post(PATH, responses=ANSWERS, openapi_extra=described(PostedReply))
    async def post_reply(request: Request) -> Taken:
        signed = await verifier.read(request)
        posted = checked(PostedReply, read_json(signed.body))
        sender = parseaddr(posted.sender)[1] if posted.channel == "email" else posted.sender.strip()
        if not sender:
            raise HTTPException(422, "from: it holds no address")

        def take() -> Taken:
            reading, text = _read(posted, reader)
            incoming = Incoming(
                id=f"{posted.channel}:{posted.id}",
                channel=posted.channel,
                address=sender[:320],
                text=text,
                refers=tuple(names.read(f"{posted.references} {posted.in_reply_to}")),
            )
            kept = replies.take(incoming, reading, now=clock())
            return Taken(reply=kept.id if kept else "", kind=kept.kind if kept else reading.kind)

        taken = await run_in_threadpool(take)
        wake(ESCALATION)
        return taken

    return router


def _read(posted: PostedReply, reader: Reader) -> tuple[Reading, str]:
    text = without_quotes(posted.text) if posted.channel == "email" else posted.text.replace("\x00", "")[:10_000]
    by_program = (
        posted.auto_submitted.strip().lower() not in _NO
        or posted.precedence.strip().lower() in ("bulk", "junk", "auto_reply", "list")
        or reader.by_itself(posted.subject)
    )
    if by_program:
        return Reading(kind=Kind.AUTOMATIC), text
    # A mail client's own way to unsubscribe sends the word as the subject of an empty mail.
    return reader.read(text or posted.subject), text
