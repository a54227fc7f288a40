"""Receipts: raw provider events as they came, and the one way in which they move a send."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.domain.receipt import Judge, Judgement, Meaning, Receipt
from tellfirst.store.consents import opt_out
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, alone_each, chunks, insert_new, table
from tellfirst.store.tables import ContactPointRow, OutreachRow, ReceiptRow, SendRow
from tellfirst.store.telling import tell_sends

__all__ = ["Receipt", "Receipts"]

# What a receipt may change, by what the receipts amount to: always forwards, so that any order ends alike. It never
# touches a send that was not let go, nor one whose request was refused.
_FROM = {
    SendState.ACCEPTED: (SendState.INTENT, SendState.UNKNOWN),
    SendState.UNDELIVERED: (SendState.INTENT, SendState.UNKNOWN, SendState.ACCEPTED),
    SendState.DELIVERED: (SendState.INTENT, SendState.UNKNOWN, SendState.ACCEPTED, SendState.UNDELIVERED),
}
_DOUBTFUL = (SendState.INTENT, SendState.UNKNOWN)


class SilentSend(Frozen):
    """Is one send of which its provider has not said what became of it."""

    id: str
    provider: str
    provider_id: str
    settled_at: datetime


class Receipts:
    """Keeps provider events and moves sends by them; `everything` is whether an opt-out closes every channel."""

    def __init__(self, database: Database, *, judge: Judge, meaning: Meaning, everything: bool = True) -> None:
        self._database, self._judge, self._meaning, self._everything = database, judge, meaning, everything

    def take(self, receipt: Receipt, *, now: datetime) -> bool:
        """Keeps an event, also about a send nobody knows, and moves its send; returns whether the event is new.

        In one transaction: a provider that is not answered comes again, and finds all done or nothing.
        """
        with self._database.write() as session:
            # Two events of one message at once would each be judged without the other.
            alone(session, f"receipts of {receipt.provider_id}")
            new = insert_new(session, ReceiptRow, [_raw(receipt, now)]) == 1
            self._move(session, receipt, now=now)
            if new and receipt.send and (kind := self._meaning(receipt)) is not None:
                self._obey(session, receipt, kind, now=now)
            self._heed(session, receipt, now=now)
        return new

    def take_all(self, receipts: Sequence[Receipt], *, now: datetime) -> None:
        """Keeps events and moves their sends as `take` does, those together that ask for nothing else.

        When it returns all is committed; where it raises, some may be, and all may come again.
        """
        by_themselves = [one for one in receipts if self._meaning(one) is not None]
        for some in chunks(one for one in receipts if self._meaning(one) is None):
            by_themselves += self._take_plain(some, now=now)
        for one in by_themselves:
            self.take(one, now=now)

    def _take_plain(self, receipts: Sequence[Receipt], *, now: datetime) -> list[Receipt]:
        """Keeps events of messages that we know in one transaction; returns those that have to be looked at alone."""
        messages = {(one.provider, one.provider_id) for one in receipts}
        with self._database.write() as session:
            alone_each(session, [f"receipts of {provider_id}" for _, provider_id in messages])
            sends = {
                (adapter, by): (id_, state, reason) for id_, adapter, by, state, reason in _known(session, messages)
            }
            plain = [one for one in receipts if (one.provider, one.provider_id) in sends]
            insert_new(session, ReceiptRow, [_raw(one, now) for one in plain])
            heard: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
            unheeded: set[tuple[str, str]] = set()
            for provider, provider_id, status, error, send in _heard(session, sends):
                heard[provider, provider_id].append((status, error))
                if send is None and self._asks(provider, provider_id, status, error):
                    unheeded.add((provider, provider_id))
            moved: defaultdict[Judgement, list[str]] = defaultdict(list)
            for (provider, provider_id), (id_, state, reason) in sends.items():
                judged = self._judge(provider, heard[provider, provider_id])
                if judged.state is not None and (state, reason) != (judged.state, judged.reason):
                    moved[judged].append(id_)
            for judged, ids in moved.items():
                _advance_all(session, ids, judged, now=now)
        messages = sends.keys() - unheeded
        return [one for one in receipts if (one.provider, one.provider_id) not in messages]

    def silent(
        self, channel: str, adapter: str, since: datetime, until: datetime, *, after: SilentSend | None, limit: int
    ) -> list[SilentSend]:
        """Returns sends of a channel and adapter, accepted in a span of time and since then without a final receipt.

        They come in the order of their acceptance, those behind `after`.
        """
        settled = col(SendRow.settled_at)
        query = (
            select(SendRow)
            .where(
                SendRow.state == SendState.ACCEPTED,
                settled >= (after.settled_at if after else since),
                settled < until,
                SendRow.channel == channel,
                SendRow.adapter == adapter,
                SendRow.provider_id != "",
            )
            .order_by(settled, col(SendRow.id))
            .limit(limit)
        )
        if after is not None:
            query = query.where((settled > after.settled_at) | (col(SendRow.id) > after.id))
        with self._database.read() as session:
            return [
                SilentSend(id=row.id, provider=row.adapter, provider_id=row.provider_id, settled_at=row.settled_at)
                for row in session.exec(query)
                if row.settled_at is not None
            ]

    def judge_again(self, send: SilentSend, *, now: datetime) -> None:
        """Moves a send by the events that are here, among them those that came before we knew its provider id."""
        for provider_id in (send.provider_id, send.id):
            known = Receipt(provider=send.provider, provider_id=provider_id, status="", send=send.id)
            with self._database.write() as session:
                alone(session, f"receipts of {provider_id}")
                self._move(session, known, now=now)
                self._heed(session, known, now=now)

    def _move(self, session: Session, receipt: Receipt, *, now: datetime) -> None:
        events = _events(session, receipt)
        judged = self._judge(receipt.provider, events)
        if judged.state is not None and (send := _own(session, receipt)) is not None:
            _advance(session, send, receipt.provider_id, judged, now=now)

    def _asks(self, provider: str, provider_id: str, status: str, error: str) -> AnswerKind | None:
        return self._meaning(Receipt(provider=provider, provider_id=provider_id, status=status, error=error))

    def _heed(self, session: Session, receipt: Receipt, *, now: datetime) -> None:
        """Does, once, what events ask for that name no send, as soon as it is known whose message theirs is."""
        its = ReceiptRow.provider == receipt.provider, ReceiptRow.provider_id == receipt.provider_id
        for row in session.exec(select(ReceiptRow).where(*its, col(ReceiptRow.send_id).is_(None))):
            kind = self._asks(row.provider, row.provider_id, row.status, row.error)
            if kind is not None and (send := _known_by(session, receipt)) is not None:
                said = Receipt(
                    provider=row.provider, provider_id=row.provider_id, status=row.status, error=row.error, send=send.id
                )
                self._obey(session, said, kind, now=now)
                row.send_id = send.id
                session.add(row)

    def _obey(self, session: Session, receipt: Receipt, kind: AnswerKind, *, now: datetime) -> None:
        """Does what an event asks for beyond its message; whoever it is about is known by the send it names."""
        send = _known_by(session, receipt) or session.get(SendRow, receipt.send)
        if send is None or send.adapter != receipt.provider:
            return
        source = f"{receipt.provider} {receipt.status}"
        if kind is AnswerKind.OPTED_OUT:
            opt_out(
                session, [send.customer_id], channel=send.channel, everything=self._everything, at=now, source=source
            )
        elif kind is AnswerKind.PERMANENT:
            point = col(ContactPointRow.customer_id) == send.customer_id, col(ContactPointRow.channel) == send.channel
            session.execute(update(ContactPointRow).where(*point).values(usable=False))
        elif kind is AnswerKind.POLICY_BLOCK:
            open_ = col(OutreachRow.id) == send.outreach_id, col(OutreachRow.blocked).is_(None)
            session.execute(update(OutreachRow).where(*open_).values(blocked=f"provider_block:{receipt.error}"))


def _raw(receipt: Receipt, now: datetime) -> dict[str, object]:
    return {
        "provider": receipt.provider,
        "provider_id": receipt.provider_id,
        "send_id": receipt.send or None,
        "status": receipt.status,
        "error": receipt.error,
        "received_at": now,
    }


def _known(session: Session, messages: Collection[tuple[str, str]]) -> Iterable[tuple[str, str, str, str, str]]:
    """Returns (id, adapter, provider id, state, reason) of the sends whose messages these are."""
    sends = table(SendRow).c
    query = select(sends.id, sends.adapter, sends.provider_id, sends.state, sends.reason)  # type: ignore[call-overload]
    return session.connection().execute(query.where(sends.provider_id.in_([id_ for _, id_ in messages])))


def _heard(session: Session, messages: Collection[tuple[str, str]]) -> Iterable[tuple[str, str, str, str, str | None]]:
    """Returns (provider, provider id, status, error, send it names) of all that was ever reported of messages."""
    events = table(ReceiptRow).c
    query = select(events.provider, events.provider_id, events.status, events.error, events.send_id)  # type: ignore[call-overload]
    its = (
        events.provider.in_({provider for provider, _ in messages}),
        events.provider_id.in_([id_ for _, id_ in messages]),
    )
    return session.connection().execute(query.where(*its))


def _events(session: Session, receipt: Receipt) -> list[tuple[str, str]]:
    query = select(ReceiptRow.status, ReceiptRow.error).where(
        ReceiptRow.provider == receipt.provider, ReceiptRow.provider_id == receipt.provider_id
    )
    return [(status, error) for status, error in session.exec(query)]


def _known_by(session: Session, receipt: Receipt) -> SendRow | None:
    its = SendRow.provider_id == receipt.provider_id, SendRow.adapter == receipt.provider
    return session.exec(select(SendRow).where(*its).limit(1).with_for_update()).first()


def _own(session: Session, receipt: Receipt) -> SendRow | None:
    """Returns the send whose message this is: the one that has its provider id, or else the one that it names.

    A named send is taken at its word where the provider knows it by our id alone. Elsewhere it must be in doubt and
    without a provider id, so that one message is never the proof of two sends: the event proves that it was accepted.
    Nobody reports on what left through another.
    """
    if (send := _known_by(session, receipt)) is not None:
        return send
    if not receipt.send:
        return None
    alone(session, "adopt a provider id")
    if (send := _known_by(session, receipt)) is not None:
        return send
    named = session.get(SendRow, receipt.send, with_for_update=True)
    if named is None or named.adapter != receipt.provider:
        return None
    if receipt.provider_id == receipt.send:
        return named
    return named if named.state in _DOUBTFUL and not named.provider_id else None


def _advance(session: Session, send: SendRow, provider_id: str, judged: Judgement, *, now: datetime) -> bool:
    """Moves a send forwards, or corrects the reason of one that stands there already; returns whether it moved."""
    state = SendState(judged.state or "")
    moves = send.state in _FROM[state]
    if moves:
        send.state, send.reason, send.settled_at = state, judged.reason, now
        send.provider_id = send.provider_id or provider_id
    elif send.state == state and send.reason.startswith("receipt"):
        send.reason = judged.reason
    session.add(send)
    if moves:
        session.flush()
        tell_sends(session, [send.id], at=now)
    return moves


def _advance_all(session: Session, sends: Sequence[str], judged: Judgement, *, now: datetime) -> None:
    """Moves sends whose provider ids are known as `_advance` moves one."""
    row, state = table(SendRow), SendState(judged.state or "")
    these, run = row.c.id.in_(sends), session.connection().execute
    corrected = row.c.state == state, row.c.reason.startswith("receipt"), row.c.reason != judged.reason
    run(update(row).where(these, *corrected).values(reason=judged.reason))
    forwards = update(row).where(these, row.c.state.in_(_FROM[state]))
    moved = run(forwards.values(state=state, reason=judged.reason, settled_at=now).returning(row.c.id)).scalars().all()
    if moved:
        tell_sends(session, moved, at=now)
