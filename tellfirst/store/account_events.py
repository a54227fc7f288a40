"""What became of accounts, as the systems that bill them say, and by which arm they were in."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.domain.base import Frozen
from tellfirst.domain.beside import AccountCount, AccountEvent
from tellfirst.domain.figures import Sums
from tellfirst.domain.outcome import Arm
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, chunks, table
from tellfirst.store.tables import RecipientRow
from tellfirst.store.tables_account_events import AccountEventRow
from tellfirst.store.tables_contacts import MergeRow

DAYS = (30, 90)
"""How long after t0 accounts are looked at."""
SIGN: dict[str, int] = {"expanded": 1, "contracted": -1, "churned": -1, "retained": 0}
"""Which way an event moves the value of its account."""


class AccountNews(Frozen):
    """Is what became of an account at an instant; `value_minor`, 0 or more, is how much of its value it is about."""

    account: str
    at: datetime
    event: AccountEvent
    value_minor: int | None = None


class Taken(Frozen):
    """Counts events that were new, that said something else than before, or that were known."""

    new: int = 0
    corrected: int = 0
    known: int = 0


class AccountEvents:
    """Keeps what became of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, news: Sequence[AccountNews], *, source: str, now: datetime) -> Taken:
        """Keeps events, all or none; one of a known account and instant that says something else is a new version."""
        new = corrected = 0
        with self._database.write() as session:
            alone(session, f"account events of {source}")
            for chunk in chunks(news):
                here = _here(session, source, [one.account for one in chunk])
                for one in chunk:
                    old = here.get((one.account, one.at))
                    if old is not None and (old.event, old.value_minor) == (one.event, one.value_minor):
                        continue
                    new, corrected = new + (old is None), corrected + (old is not None)
                    if old is not None:
                        old.replaced_at = now
                        session.add(old)
                    row = AccountEventRow(
                        **one.model_dump(),
                        source=source,
                        version=old.version + 1 if old else 1,
                        imported_at=now,
                        replaced_at=None,
                    )
                    here[one.account, one.at] = row
                    session.add(row)
        return Taken(new=new, corrected=corrected, known=len(news) - new - corrected)


def became(session: Session, outreaches: Sequence[str]) -> dict[str, list[AccountCount]]:
    """Counts what became of the accounts of outreaches, by arm and hold-out share, after each number of DAYS.

    An account is looked at when its days were over before the latest event that is known: later than that nobody
    knows. It is left out for when it was drawn, never for what became of it, so the arms stay alike.
    """
    found: dict[str, list[AccountCount]] = defaultdict(list)
    known = session.scalar(select(func.max(AccountEventRow.at)).where(col(AccountEventRow.replaced_at).is_(None)))
    if known is None:
        return found
    for days in DAYS:
        span = timedelta(days=days)
        accounts, told = _accounts(session, outreaches, known - span), _told(session, outreaches, known - span, span)
        for (outreach, arm, share), n in accounts.items():
            mine = told.get((outreach, arm, share), {})
            events: dict[AccountEvent, int] = defaultdict(int)
            for kinds, _ in mine.values():
                for kind in kinds:
                    events[kind] += 1
            # Those of whom nothing is told have kept their value.
            values = Sums.of((value, 0.0) for _, value in mine.values()).model_copy(update={"n": n})
            found[outreach].append(
                AccountCount(arm=arm, share=share, days=days, accounts=n, events=dict(events), value=values)
            )
    return found


def _here(session: Session, source: str, accounts: Sequence[str]) -> dict[tuple[str, datetime], AccountEventRow]:
    query = select(AccountEventRow).where(
        col(AccountEventRow.source) == source,
        col(AccountEventRow.account).in_(accounts),
        col(AccountEventRow.replaced_at).is_(None),
    )
    return {(row.account, row.at): row for row in session.scalars(query)}


def _drawn(outreaches: Sequence[str], before: datetime) -> tuple[Any, ...]:
    row = table(RecipientRow)
    return row.c.outreach_id.in_(outreaches), row.c.arm.is_not(None), row.c.t0 <= before


def _accounts(session: Session, outreaches: Sequence[str], before: datetime) -> dict[tuple[str, Arm, float], int]:
    row = table(RecipientRow)
    by = row.c.outreach_id, row.c.arm, row.c.share
    query = select(*by, func.count(row.c.cluster.distinct())).where(*_drawn(outreaches, before)).group_by(*by)
    return {(outreach, arm, share or 0.0): n for outreach, arm, share, n in session.execute(query.order_by(*by))}


def _told(
    session: Session, outreaches: Sequence[str], before: datetime, span: timedelta
) -> dict[tuple[str, Arm, float], dict[str, tuple[set[AccountEvent], float]]]:
    """Returns, by arm and share, the events of each account within `span` after t0 and what they add up to."""
    row, event, merge = table(RecipientRow), table(AccountEventRow), table(MergeRow)
    by = row.c.outreach_id, row.c.arm, row.c.share, row.c.cluster
    drawn = select(*by, func.min(row.c.t0).label("t0")).where(*_drawn(outreaches, before)).group_by(*by).subquery()
    now, then = merge.alias(), merge.alias()
    query = (
        select(drawn, event.c.at, event.c.event, event.c.value_minor)
        .join(now, now.c.old == drawn.c.cluster, isouter=True)
        .join(
            # Both names read through merges: what came under the old one is of the same account.
            event.outerjoin(then, then.c.old == event.c.account),
            func.coalesce(then.c.into, event.c.account) == func.coalesce(now.c.into, drawn.c.cluster),
        )
        .where(event.c.replaced_at.is_(None), event.c.at >= drawn.c.t0)
    )
    found: dict[tuple[str, Arm, float], dict[str, tuple[set[AccountEvent], float]]] = defaultdict(dict)
    for outreach, arm, share, cluster, t0, at, kind, value in session.execute(query):
        if at < t0 + span:
            mine = found[outreach, arm, share or 0.0]
            kinds, sum_ = mine.get(cluster, (set(), 0.0))
            mine[cluster] = kinds | {kind}, sum_ + SIGN[kind] * (value or 0)
    return found
