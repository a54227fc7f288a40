"""What customers write back: kept with the send it answers, and obeyed in the same transaction."""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import CustomerReplied
from tellfirst.domain.message import SendState
from tellfirst.policy.consent import TELEPHONE, may_contact, opened_by
from tellfirst.policy.replies import Kind, Reading, lone_digit
from tellfirst.policy.verdict import Consent
from tellfirst.store.arrivals import keep
from tellfirst.store.consents import hold, opt_out, release, say
from tellfirst.store.contacts import REPLIES, Contact, put
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.survey_answers import BY_DIGIT, asked_by, keep_answer
from tellfirst.store.tables import ConsentRow, ContactPointRow, RevisionRow, SendRow
from tellfirst.store.tables_replies import ReplyRow
from tellfirst.store.telling import tell

ESCALATION = "reply"
"""The source of arrivals that tell an outreach of a reply which needs a person."""
LEFT = (SendState.INTENT, SendState.ACCEPTED, SendState.DELIVERED, SendState.UNDELIVERED, SendState.UNKNOWN)
ONE_NUMBER = (*TELEPHONE, "person")


class Incoming(Frozen):
    """Is one reply as it came: `id` is the provider's, `refers` our or the provider's ids of what it may answer."""

    id: str
    channel: str
    address: str = ""
    text: str = ""
    refers: tuple[str, ...] = ()


class ReplyRecord(Frozen):
    """Is one reply; `text` is empty once its time has come."""

    id: str
    customer: str | None
    outreach: str | None
    channel: str
    kind: str
    tone: str
    need: str
    text: str
    received_at: datetime


class Replies:
    """Keeps replies, and their texts for `kept`; `everything` is whether an opt-out on one channel closes all."""

    def __init__(self, database: Database, *, everything: bool = True, kept: timedelta = timedelta(days=90)) -> None:
        self._database, self._everything, self._kept = database, everything, kept

    def take(self, incoming: Incoming, reading: Reading, *, now: datetime) -> ReplyRecord | None:
        """Keeps a reply, also of a sender nobody knows, and does what it asks for; None when it was here already.

        All in one transaction: when it is acknowledged, whoever opted out has opted out, whoever may have is held, what
        counts as a contact is counted, and a person will hear of it.
        """
        with self._database.write() as session:
            owners = _owners(session, incoming)
            send = _answered(session, incoming, owners)
            customer = send.customer_id if send else min(owners, default=None)
            kind = reading.kind
            score = lone_digit(incoming.text) if kind is Kind.REPLY and incoming.channel in BY_DIGIT else None
            asked = None if score is None else asked_by(session, owners, send if incoming.refers else None, now=now)
            if asked is not None:
                send, kind, reading = asked[1], Kind.ANSWER, Reading(kind=Kind.ANSWER)
                customer = send.customer_id
            if kind is Kind.OPT_IN and not _closed(session, owners, incoming.channel):
                kind = Kind.REPLY
            id_ = reply_id(incoming.id)
            values: dict[str, Any] = {
                "id": id_,
                "customer_id": customer,
                "outreach_id": send.outreach_id if send else None,
                "send_id": send.id if send else None,
                "channel": incoming.channel,
                "address": incoming.address if customer is None else "",
                "kind": kind,
                "tone": reading.tone,
                "text": incoming.text,
                "needs": reading.need,
                "received_at": now,
            }
            if not insert_new(session, ReplyRow, [values]):
                return None
            if asked is not None:
                keep_answer(session, asked[0], score=score, by="digit", at=now)
            # Whoever forwards our mail and asks us to stop speaks for the one it was sent to; nobody else's yes does.
            people = owners | {customer} if customer else owners
            self._obey(session, kind, incoming, owners=owners, people=people, now=now)
            if customer is not None and kind is not Kind.AUTOMATIC:
                told = CustomerReplied(
                    customer=customer,
                    outreach=values["outreach_id"] or "",
                    channel=incoming.channel,
                    reply=id_,
                    kind=kind,
                    tone=reading.tone,
                )
                tell(session, told, at=now)
            if send is not None:
                _count(session, kind, send, id_, now=now)
                if reading.need:
                    about = {"outreach": send.outreach_id, "need": reading.need, "reply": id_}
                    keep(session, ESCALATION, id_, about, now=now)
            return _record(ReplyRow(**values))

    def _obey(
        self, session: Session, kind: Kind, incoming: Incoming, *, owners: set[str], people: set[str], now: datetime
    ) -> None:
        source, channel = reply_id(incoming.id), incoming.channel
        if kind is Kind.OPT_OUT:
            opt_out(session, people, channel=channel, everything=self._everything, at=now, source=source)
            release(session, people, at=now, by="customer")
        elif kind is Kind.OPT_IN:
            say(session, owners, opened_by(channel), at=now, source=source)
            release(session, owners, at=now, by="customer")
        elif kind is Kind.DOUBTFUL:
            hold(session, people, reply=source, at=now)

    def of(self, outreach: str | None) -> list[ReplyRecord]:
        """Returns the replies to an outreach in the order they came; None for those that answer nothing of ours."""
        about = col(ReplyRow.outreach_id)
        query = select(ReplyRow).where(about == outreach if outreach else about.is_(None))
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(ReplyRow.received_at), col(ReplyRow.id)))
            return [_record(row) for row in rows]

    def counts(self, outreach: str) -> dict[str, int]:
        """Counts the replies to an outreach by tone, and those without one by kind."""
        named = func.coalesce(func.nullif(ReplyRow.tone, ""), ReplyRow.kind)
        query = select(named, func.count()).where(ReplyRow.outreach_id == outreach).group_by(named).order_by(named)
        with self._database.read() as session:
            return {str(name): count for name, count in session.exec(query)}

    def tidy(self, *, now: datetime) -> int:
        """Deletes texts whose time has come, and the addresses of nobody's customers; returns of how many replies."""
        old = col(ReplyRow.received_at) <= now - self._kept, (col(ReplyRow.text) != "") | (col(ReplyRow.address) != "")
        with self._database.write() as session:
            done = session.execute(update(ReplyRow).where(*old).values(text="", address=""))
            return int(done.rowcount)  # type: ignore[attr-defined]


def reply_id(given: str) -> str:
    """Returns our name for a reply, which tells nothing of its sender: a provider's ids may."""
    return f"reply-{hashlib.sha256(given.encode()).hexdigest()[:16]}"


def _owners(session: Session, incoming: Incoming) -> set[str]:
    if not incoming.address:
        return set()
    alike = ONE_NUMBER if incoming.channel in ONE_NUMBER else (incoming.channel,)
    written = {incoming.address, incoming.address.lower()}
    on = col(ContactPointRow.channel).in_(alike)
    found = set(session.exec(select(ContactPointRow.customer_id).where(on, col(ContactPointRow.address).in_(written))))
    if not found and incoming.channel == "email":
        # Rare, and so without an index of its own: an address that was imported in other letters than it writes from.
        same = func.lower(ContactPointRow.address) == incoming.address.lower()
        found = set(session.exec(select(ContactPointRow.customer_id).where(on, same)))
    return found


def _answered(session: Session, incoming: Incoming, owners: Collection[str]) -> SendRow | None:
    """Returns the send that a reply names, or else the last one that left to its sender by that channel."""
    if refers := list(incoming.refers):
        named = col(SendRow.id).in_(refers) | col(SendRow.provider_id).in_(refers)
        if (found := session.exec(select(SendRow).where(named).limit(1)).first()) is not None:
            return found
    alike = ONE_NUMBER if incoming.channel in ONE_NUMBER else (incoming.channel,)
    left = (
        col(SendRow.customer_id).in_(list(owners)),
        col(SendRow.state).in_(LEFT),
        col(SendRow.channel).in_(alike),
    )
    last = select(SendRow).where(*left).order_by((col(SendRow.channel) == incoming.channel).desc())
    return session.exec(last.order_by(col(SendRow.intent_at).desc()).limit(1)).first()


def _closed(session: Session, owners: Collection[str], channel: str) -> bool:
    said: dict[str, list[Consent]] = {owner: [] for owner in owners}
    for row in session.exec(select(ConsentRow).where(col(ConsentRow.customer_id).in_(list(owners)))):
        said[row.customer_id].append(Consent(channel=row.channel, purpose=row.purpose, allowed=row.allowed, at=row.at))
    return any(not may_contact(statements, channel, "service") for statements in said.values())


def _count(session: Session, kind: Kind, send: SendRow, id_: str, *, now: datetime) -> None:
    """Counts what only those who were told can do as a contact: left out it would flatter the message."""
    if kind not in (Kind.REPLY, Kind.DOUBTFUL):
        return
    revision = session.get(RevisionRow, (send.outreach_id, send.revision))
    reason = ((revision and revision.plan) or {}).get("reason_code", "")
    contact = Contact(id=id_, customer=send.customer_id, reason_code=reason, occurred_at=now, channel=send.channel)
    put(session, [contact], source=REPLIES, now=now)


def _record(row: ReplyRow) -> ReplyRecord:
    return ReplyRecord(
        id=row.id,
        customer=row.customer_id,
        outreach=row.outreach_id,
        channel=row.channel,
        kind=row.kind,
        tone=row.tone,
        need=row.needs,
        text=row.text,
        received_at=row.received_at,
    )
