"""What is counted beside the figures of outreaches: how messages were read, replies, what they cost, what settled."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Select, and_, case, func, literal, or_, select, union_all
from sqlmodel import Session, col

from tellfirst.domain.beside import BesideCounts, ChannelCount, Engagement, SettledCount
from tellfirst.domain.message import Channel, SendState
from tellfirst.domain.outcome import Arm
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.units import units
from tellfirst.policy.prices import Prices
from tellfirst.store.account_events import became
from tellfirst.store.contacts import REPLIES
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks, table
from tellfirst.store.tables import (
    ContactRow,
    DecisionRow,
    PlaybookVersionRow,
    ReceiptRow,
    RecipientRow,
    RevisionRow,
    SendRow,
)
from tellfirst.store.tables_contacts import MergeRow
from tellfirst.store.tables_replies import ReplyRow

ARRIVED = (SendState.ACCEPTED, SendState.DELIVERED)
"""What may have been read."""
CHARGED = (*ARRIVED, SendState.UNDELIVERED, SendState.UNKNOWN)
"""What a provider asks money for."""

Counts = dict[str, list[Any]]


class Besides:
    """Counts what stands beside the figures of outreaches; `engagements` says what receipts mean, `prices` their cost.

    It looks at every message and account of an outreach: a page asks for those that it shows, not for all.
    """

    def __init__(
        self, database: Database, *, engagements: Mapping[tuple[str, str], Engagement], prices: Prices | None = None
    ) -> None:
        self._database, self._engagements, self._prices = database, engagements, prices

    def of(self, reason_code: str, outreaches: Sequence[str]) -> list[BesideCounts]:
        """Returns the counts of outreaches about one reason code, in their order."""
        found: list[BesideCounts] = []
        with self._database.read() as session:
            for chunk in chunks(outreaches):
                found += self._of(session, reason_code, chunk)
        return found

    def _of(self, session: Session, reason: str, chunk: Sequence[str]) -> list[BesideCounts]:
        channels, tones = self._channels(session, chunk), _tones(session, chunk)
        replied, approvals = _replied(session, reason, chunk), _approvals(session, chunk)
        settled, accounts, costs = _settled(session, reason, chunk), became(session, chunk), self._costs(session, chunk)
        return [
            BesideCounts(
                outreach=outreach,
                channels=tuple(channels[outreach]),
                tones=dict(tones[outreach]),
                replied=replied[outreach],
                settled=tuple(settled[outreach]),
                message_micros=costs.get(outreach, 0 if self._prices else None),
                currency=self._prices.currency if self._prices else "",
                approvals=approvals[outreach],
                accounts=tuple(accounts[outreach]),
            )
            for outreach in chunk
        ]

    def _channels(self, session: Session, chunk: Sequence[str]) -> Counts:
        send, receipt = table(SendRow), table(ReceiptRow)
        arrived = send.c.outreach_id.in_(chunk), send.c.state.in_(ARRIVED)
        totals = select(send.c.outreach_id, send.c.channel, func.count()).where(*arrived)
        kinds: dict[Engagement, list[Any]] = defaultdict(list)
        for (provider, status), name in self._engagements.items():
            kinds[name].append(and_(receipt.c.provider == provider, receipt.c.status == status))
        kind = case(*[(or_(*said), literal(of)) for of, said in kinds.items()])

        def reading(*joined: Any) -> Select[Any]:
            return (
                select(send.c.outreach_id, send.c.channel, send.c.id, kind.label("kind"))
                .join(receipt, and_(receipt.c.provider == send.c.adapter, *joined))
                .where(*arrived, kind.is_not(None))
            )

        unnamed = receipt.c.send_id.is_(None), receipt.c.provider_id == send.c.provider_id, send.c.provider_id != ""
        every = union_all(reading(receipt.c.send_id == send.c.id), reading(*unnamed)).subquery()
        flags = [func.max(case((every.c.kind == name, 1), else_=0)).label(name) for name in _KINDS]
        by_send = select(every.c.outreach_id, every.c.channel, *flags).group_by(*_three(every)).subquery()
        alone = case((by_send.c.opened == 1, 0), else_=by_send.c.machine)
        query = select(
            by_send.c.outreach_id,
            by_send.c.channel,
            func.sum(by_send.c.opened),
            func.sum(alone),
            func.sum(by_send.c.clicked),
        ).group_by(by_send.c.outreach_id, by_send.c.channel)
        read = {(outreach, channel): more for outreach, channel, *more in session.execute(query)}
        found: Counts = defaultdict(list)
        by_channel = totals.group_by(send.c.outreach_id, send.c.channel).order_by(send.c.channel)
        for outreach, channel, sent in session.execute(by_channel):
            opened, machine, clicked = read.get((outreach, channel), (0, 0, 0))
            found[outreach].append(
                ChannelCount(channel=channel, sent=sent, opened=opened, machine=machine, clicked=clicked)
            )
        return found

    def _costs(self, session: Session, chunk: Sequence[str]) -> dict[str, int | None]:
        """Returns what messages came to at most, None where a channel has no price or a playbook is read no more."""
        if self._prices is None:
            return {}
        send, row = table(SendRow), table(RecipientRow)
        by = send.c.outreach_id, send.c.revision, send.c.step, send.c.channel, row.c.locale
        query = (
            select(*by, func.count())
            .join(row, row.c.id == send.c.recipient_id)
            .where(send.c.outreach_id.in_(chunk), send.c.state.in_(CHARGED))
            .group_by(*by)
        )
        books = _playbooks(session, chunk)
        used: dict[str, Counter[str] | None] = {}
        for outreach, revision, step, channel, locale, count in session.execute(query):
            book, counted = books.get((outreach, revision)), used.setdefault(outreach, Counter())
            if book is None:
                used[outreach] = None
            elif counted is not None:
                counted[channel] += count * units(book, step, cast(Channel, channel), locale or book.default_locale)
        costs = {outreach: counted and self._prices.cost(counted) for outreach, counted in used.items()}
        return {outreach: cost.micros if cost and cost.currency else None for outreach, cost in costs.items()}


_KINDS: tuple[Engagement, ...] = ("opened", "machine", "clicked")


def _three(of: Any) -> tuple[Any, ...]:
    return of.c.outreach_id, of.c.channel, of.c.id


def _playbooks(session: Session, chunk: Sequence[str]) -> dict[tuple[str, int], Playbook | None]:
    query = (
        select(col(RevisionRow.outreach_id), col(RevisionRow.number), col(PlaybookVersionRow.version))
        .join(PlaybookVersionRow, col(PlaybookVersionRow.version) == col(RevisionRow.playbook_version))
        .where(col(RevisionRow.outreach_id).in_(chunk))
    )
    revisions = session.execute(query).all()
    books: dict[str, Playbook | None] = {}
    for version in {version for _, _, version in revisions}:
        row = session.get_one(PlaybookVersionRow, version)
        try:
            books[version] = parse(row.text, row.playbook).playbook
        except PlaybookError:
            books[version] = None  # of an older schema
    return {(outreach, number): books[version] for outreach, number, version in revisions}


def _tones(session: Session, chunk: Sequence[str]) -> dict[str, Counter[str]]:
    by = col(ReplyRow.outreach_id), col(ReplyRow.tone)
    query = select(*by, func.count()).where(by[0].in_(chunk), by[1] != "").group_by(*by)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for outreach, tone, count in session.execute(query):
        found[outreach or ""][tone] = count
    return found


def _replied(session: Session, reason: str, chunk: Sequence[str]) -> Counter[str]:
    """Counts the replies that are contacts about the reason in the window of whom they answer."""
    contact, reply, send, row = table(ContactRow), table(ReplyRow), table(SendRow), table(RecipientRow)
    query = (
        select(reply.c.outreach_id, func.count())
        .join(contact, and_(contact.c.source == REPLIES, contact.c.id == reply.c.id))
        .join(send, send.c.id == reply.c.send_id)
        .join(row, row.c.id == send.c.recipient_id)
        .where(
            reply.c.outreach_id.in_(chunk),
            contact.c.reason_code == reason,
            contact.c.occurred_at >= row.c.t0,
            contact.c.occurred_at < row.c.window_end,
        )
        .group_by(reply.c.outreach_id)
    )
    return Counter(dict(session.execute(query).all()))


def _approvals(session: Session, chunk: Sequence[str]) -> Counter[str]:
    about = col(DecisionRow.about)
    query = select(about, func.count()).where(about.in_(chunk), col(DecisionRow.accepted)).group_by(about)
    return Counter(dict(session.execute(query).all()))


def _settled(session: Session, reason: str, chunk: Sequence[str]) -> Counts:
    """Counts, by arm and share, clusters whose condition was over before their window and that never made contact."""
    row, contact, merge = table(RecipientRow), table(ContactRow), table(MergeRow)
    came = (
        select(contact.c.id)
        .where(
            contact.c.cluster == func.coalesce(merge.c.into, row.c.cluster),
            contact.c.reason_code == reason,
            contact.c.occurred_at >= row.c.t0,
            contact.c.occurred_at < row.c.window_end,
        )
        .exists()
    )
    over = case((and_(row.c.cleared_at < row.c.window_end, ~came), 1), else_=0)
    units_ = (
        select(row.c.outreach_id, row.c.arm, row.c.share, row.c.cluster, func.min(over).label("settled"))
        .join(merge, merge.c.old == row.c.cluster, isouter=True)
        .where(row.c.outreach_id.in_(chunk), row.c.t0.is_not(None))
        .group_by(row.c.outreach_id, row.c.arm, row.c.share, row.c.cluster)
        .subquery()
    )
    by = units_.c.outreach_id, units_.c.arm, units_.c.share
    query = select(*by, func.count(), func.sum(units_.c.settled)).group_by(*by).order_by(*by)
    found: Counts = defaultdict(list)
    for outreach, arm, share, clusters, settled in session.execute(query):
        found[outreach].append(
            SettledCount(arm=cast(Arm, arm), share=share or 0.0, clusters=clusters, settled=int(settled))
        )
    return found
