"""Alternate channels: by which each recipient may be told besides, and whose turn it is once a message was lost."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, delete, select, update

from tellfirst.domain.message import AnswerKind, Channel, SendState
from tellfirst.domain.plan import INITIAL, RESOLVED, UNPLANNED
from tellfirst.domain.recipient import ELIGIBLE, Candidate, Recipient
from tellfirst.policy.choice import next_channel
from tellfirst.policy.verdict import TOLD_BEFORE
from tellfirst.store.engine import Database
from tellfirst.store.opening import RECEIVED
from tellfirst.store.rows import of_recipient, read_recipient
from tellfirst.store.statements import chunks, given, table
from tellfirst.store.tables import ConsentRow, PageRow, RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow

_LOST = (f"{AnswerKind.PERMANENT}:", f"{AnswerKind.UNREACHED}:")
"""How the reasons begin for which a message that failed may go by another channel; neither doubt nor an opt-out is."""


class Turn(NamedTuple):
    """Is a recipient whose step goes by an alternate channel now; `page` is that of the alternate."""

    recipient: int
    position: int
    customer: str
    channel: str
    page: int


class Alternates:
    """Keeps the alternate channels of all revisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- planning, as with the recipients themselves; ids are those of alternates

    def unpaged(self, outreach: str, revision: int, channel: str, limit: int, *, after: int = -1) -> list[Recipient]:
        """Returns the next alternates of a channel, behind the position `after`, that stand on no page yet.

        They are of recipients who stand on one.
        """
        query = (
            select(RecipientRow, AlternateRow)
            .join(AlternateRow, of_recipient())
            .where(
                AlternateRow.outreach_id == outreach,
                AlternateRow.revision == revision,
                AlternateRow.channel == channel,
                col(AlternateRow.page).is_(None),
                AlternateRow.position > after,
                RecipientRow.verdict == ELIGIBLE,
                col(RecipientRow.page).is_not(None),
            )
            .order_by(col(AlternateRow.position))
            .limit(limit)
        )
        with self._database.read() as session:
            return [read_recipient(row, alternate) for row, alternate in session.exec(query)]

    def channels(self, outreach: str, revision: int) -> set[Channel]:
        """Returns by which channels anybody of a revision may be told besides."""
        row = table(AlternateRow)
        query = select(row.c.channel).where(row.c.outreach_id == outreach, row.c.revision == revision).distinct()
        with self._database.read() as session:
            return {cast(Channel, channel) for channel in session.execute(query).scalars()}

    def add_page(
        self, outreach: str, revision: int, number: int, channel: str, contents: dict[int, str], digest: str
    ) -> None:
        """Freezes one page: alternate id to content digest, in the order of their positions."""
        row = table(AlternateRow)
        page = PageRow(
            outreach_id=outreach, revision=revision, number=number, channel=channel, rows=len(contents), digest=digest
        )
        with self._database.write() as session:
            id_, content = given(session, contents)
            session.execute(update(row).where(row.c.id == id_).values(page=number, content_digest=content))
            session.add(page)

    def leave_out(self, ids: Sequence[int], verdict: str) -> None:
        """Drops alternates before their page is frozen; their recipients keep the channels that are left."""
        with self._database.write() as session:
            session.execute(delete(AlternateRow).where(col(AlternateRow.id).in_(ids)))

    def by_text(self, outreach: str, revision: int) -> dict[tuple[Channel, str], int]:
        """Returns how many alternates stand on pages, on each channel in each locale."""
        query = (
            select(AlternateRow.channel, AlternateRow.locale, func.count())
            .where(
                AlternateRow.outreach_id == outreach,
                AlternateRow.revision == revision,
                col(AlternateRow.page).is_not(None),
            )
            .group_by(col(AlternateRow.channel), col(AlternateRow.locale))
        )
        with self._database.read() as session:
            return {(cast(Channel, channel), locale): count for channel, locale, count in session.exec(query)}

    # -- sending

    def due_pages(self, outreach: str, revision: int, step: str, kind: str) -> list[int]:
        """Returns the pages on which a step has to leave now for somebody, in their order."""
        with self._database.read() as session:
            return sorted({turn.page for turn in turns(session, outreach, revision, step, kind=kind)})


def alternates_of(outreach: str, revision: int, first: int, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Returns the rows to insert for candidates at positions `first`, `first` + 1, …."""
    return [
        {
            "outreach_id": outreach,
            "revision": revision,
            "position": first + n,
            "rank": rank,
            "channel": alternate.channel,
            "locale": alternate.locale,
            "address_digest": alternate.address_digest,
        }
        for n, candidate in enumerate(candidates)
        for rank, alternate in enumerate(candidate.alternates, start=1)
    ]


def on_page(session: Session, outreach: str, revision: int, page: int) -> list[Recipient]:
    """Returns the alternates of a page in their frozen order, within the session's transaction."""
    query = (
        select(RecipientRow, AlternateRow)
        .join(AlternateRow, of_recipient())
        .where(AlternateRow.outreach_id == outreach, AlternateRow.revision == revision, AlternateRow.page == page)
        .order_by(col(AlternateRow.position))
    )
    return [read_recipient(row, alternate) for row, alternate in session.exec(query)]


def turns(
    session: Session, outreach: str, revision: int, step: str, *, kind: str, page: int | None = None
) -> Iterator[Turn]:
    """Yields those whose step goes by an alternate channel now, in the order of the audience.

    With `page` only those on that page. A first message goes there once every channel before has lost it; a promised
    one by the channel on which the first came through, and from there on likewise.
    """
    opens = kind == INITIAL or kind in UNPLANNED
    for rows in chunks(_concerned(session, outreach, revision, step, opens=opens, page=page)):
        alternates: dict[int, list[AlternateRow]] = defaultdict(list)
        query = select(AlternateRow).where(
            AlternateRow.outreach_id == outreach,
            AlternateRow.revision == revision,
            col(AlternateRow.position).in_([row.position for row in rows]),
        )
        for alternate in session.exec(query.order_by(col(AlternateRow.rank))):
            alternates[alternate.position].append(alternate)
        sends: dict[int, dict[tuple[str, str], SendRow]] = defaultdict(dict)
        of_these = col(SendRow.recipient_id).in_([row.id for row in rows])
        for send in session.exec(select(SendRow).where(of_these, col(SendRow.step).in_([step, INITIAL, RESOLVED]))):
            sends[send.recipient_id][send.step, send.channel] = send
        refused = _refused(session, [row.customer_id for row in rows])
        for row in rows:
            theirs = sends[row.id or 0]
            if not opens and not _follows(row, theirs, kind):
                continue
            order = [row.channel or "", *(alternate.channel for alternate in alternates[row.position])]
            first = {c for (s, c), send in theirs.items() if s == INITIAL and SendState(send.state) in RECEIVED}
            lost = {c: _lost(send, refused[row.customer_id]) for (s, c), send in theirs.items() if s == step}
            channel = next_channel(order, order[:1] if opens else first, lost)
            for alternate in alternates[row.position]:
                if alternate.channel == channel and alternate.page is not None and page in (None, alternate.page):
                    yield Turn(row.id or 0, row.position, row.customer_id, alternate.channel, alternate.page)


def sent_on() -> ColumnElement[bool]:
    """Returns the condition that a send was lost and its message has a later one, by another channel."""
    send, later = table(SendRow), table(SendRow).alias("later")
    # Pages of alternates stand behind those of the channels before them.
    same = (later.c.recipient_id == send.c.recipient_id, later.c.step == send.c.step, later.c.page > send.c.page)
    return select(later.c.id).where(*same, later.c.reason != TOLD_BEFORE).correlate(send).exists()


def told_before(session: Session, sends: Sequence[str]) -> set[str]:
    """Returns those sends whose message came through on a channel before theirs after all, or was met with a no there.

    So it may turn out while they wait for their hour.
    """
    send, before, no = table(SendRow), table(SendRow).alias("before"), table(ConsentRow)
    same = (before.c.recipient_id == send.c.recipient_id, before.c.step == send.c.step, before.c.page < send.c.page)
    by_it = (no.c.channel.in_(["*", before.c.channel]), no.c.allowed.is_(False), no.c.at >= before.c.intent_at)
    refused = select(no.c.id).where(no.c.customer_id == before.c.customer_id, *by_it).correlate(before).exists()
    ended = select(before.c.id).where(*same, or_(before.c.state.in_(RECEIVED), refused)).correlate(send).exists()
    return set(session.exec(select(SendRow.id).where(col(SendRow.id).in_(sends), ended)))


def _concerned(
    session: Session, outreach: str, revision: int, step: str, *, opens: bool, page: int | None
) -> list[RecipientRow]:
    """Returns whom a step may have been lost for, or reached by an alternate channel before."""
    ended = col(SendRow.state).in_([SendState.FAILED, SendState.UNDELIVERED])
    other = col(SendRow.channel) != col(RecipientRow.channel)
    may_be = (SendRow.step == step, ended)
    told = (SendRow.step == INITIAL, col(SendRow.state).in_(RECEIVED), other)

    def some(which: Sequence[ColumnElement[bool] | bool]) -> ColumnElement[bool]:
        mine = col(SendRow.recipient_id) == col(RecipientRow.id)
        if page is not None:
            return select(SendRow.id).where(mine, *which).exists()
        # Of a whole audience those few are looked for, and not something for each of the others.
        of_all = (SendRow.outreach_id == outreach, SendRow.revision == revision)
        found = select(SendRow.recipient_id).join(RecipientRow, mine).where(*of_all, *which)
        return col(RecipientRow.id).in_(found.correlate(None))

    query = select(RecipientRow).where(
        RecipientRow.outreach_id == outreach,
        RecipientRow.revision == revision,
        RecipientRow.arm == "treated",
        RecipientRow.verdict == ELIGIBLE,
        some(may_be) if opens else or_(some(may_be), some(told)),
    )
    if page is not None:
        here = select(AlternateRow.position).where(
            AlternateRow.outreach_id == outreach, AlternateRow.revision == revision, AlternateRow.page == page
        )
        # Read first: a page of first choices has none, and where it has some, they are found by their index.
        if not (positions := session.exec(here).all()):
            return []
        query = query.where(col(RecipientRow.position).in_(positions))
    return list(session.exec(query.order_by(col(RecipientRow.position))))


def _follows(row: RecipientRow, sends: Mapping[tuple[str, str], SendRow], kind: str) -> bool:
    """Returns whether a promised step is for this recipient: an update while it lasts, the end once it is over."""
    if kind != "update":
        return row.cleared_at is not None
    ended = any(step == RESOLVED and send.state != SendState.WITHHELD for (step, _), send in sends.items())
    return row.cleared_at is None and not ended


def _refused(session: Session, customers: Sequence[str]) -> Mapping[str, list[ConsentRow]]:
    found: dict[str, list[ConsentRow]] = defaultdict(list)
    no = col(ConsentRow.customer_id).in_(customers), col(ConsentRow.allowed).is_(False)
    for row in session.exec(select(ConsentRow).where(*no)):
        found[row.customer_id].append(row)
    return found


def lost_for_good(send: SendRow) -> bool:
    """Returns whether a channel has lost a message, so that another may have it."""
    failed = send.state == SendState.FAILED and send.reason.startswith(_LOST)
    return failed or send.state == SendState.UNDELIVERED


def _lost(send: SendRow, refused: Sequence[ConsentRow]) -> bool:
    """Returns whether a send is lost for good, and not because of a no that came by its channel since."""
    if not lost_for_good(send):
        return False
    since = send.intent_at
    return not any(no.channel in ("*", send.channel) and (since is None or no.at >= since) for no in refused)
