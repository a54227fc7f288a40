"""Outcomes that are out of date: contacts of their windows came, changed or were withdrawn after they were counted."""

from datetime import datetime, timedelta

from sqlalchemy import CTE, Select, and_, func, select, union_all

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import table
from tellfirst.store.tables import ContactRow, OutcomeRow, RecipientRow
from tellfirst.store.tables_contacts import ContactVersionRow, MergeRow
from tellfirst.store.windows import as_long_before

MARGIN = timedelta(minutes=15)
"""How long an import may take: what it brings is dated at its beginning and seen by others at its end."""


class Stale(Frozen):
    """Is an outreach to count again; `end` is when its last window closes."""

    outreach: str
    reason_code: str
    end: datetime


class Late:
    """Looks for what came after outcomes were recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outreaches(self, *, since: datetime, watermark: datetime | None) -> list[Stale]:
        """Returns the outreaches, by name, whose latest outcome lacks what was heard after `since`.

        And those whose contacts had not arrived when they were given up, and are here now.
        """
        with self._database.read() as session:
            heard = session.execute(_heard(since - MARGIN, sqlite=self._database.is_sqlite)).mappings()
            found = [one for one in heard if one["heard"] >= one["recorded_at"] - MARGIN]
            if watermark is not None:
                found += session.execute(_given_up(watermark)).mappings()
        stale = {one["outreach"]: Stale.model_validate(one) for one in found}
        return [stale[outreach] for outreach in sorted(stale)]


def _latest() -> CTE:
    outcome = table(OutcomeRow)
    newest = select(outcome.c.outreach_id, func.max(outcome.c.version).label("version"))
    last = newest.group_by(outcome.c.outreach_id).subquery("newest")
    same = and_(outcome.c.outreach_id == last.c.outreach_id, outcome.c.version == last.c.version)
    return (
        select(
            outcome.c.outreach_id.label("outreach"),
            func.min(outcome.c.reason_code).label("reason_code"),
            func.min(outcome.c.recorded_at).label("recorded_at"),
            func.min(outcome.c.grade).label("grade"),
            func.sum(outcome.c.clusters).label("clusters"),
            func.count(outcome.c.rate).label("rates"),
        )
        .join(last, same)
        .group_by(outcome.c.outreach_id)
        .cte("latest")
    )


def _heard(since: datetime, *, sqlite: bool) -> Select[tuple[str, str, datetime, datetime, datetime]]:
    contact, before, merge, row = (table(one) for one in (ContactRow, ContactVersionRow, MergeRow, RecipientRow))
    latest = _latest().c
    changed = union_all(
        select(contact.c.cluster, contact.c.occurred_at, contact.c.imported_at.label("heard")).where(
            contact.c.imported_at >= since
        ),
        select(before.c.cluster, before.c.occurred_at, before.c.replaced_at).where(before.c.replaced_at >= since),
    ).cte("changed")
    account = func.coalesce(merge.c.into, changed.c.cluster)
    told = (
        select(account.label("account"), changed.c.occurred_at, changed.c.heard)
        .select_from(changed.outerjoin(merge, merge.c.old == changed.c.cluster))
        .cte("told")
    )
    names = union_all(
        select(told.c.account.label("name"), told.c.occurred_at, told.c.heard),
        select(merge.c.old, told.c.occurred_at, told.c.heard).join(told, told.c.account == merge.c.into),
    ).cte("names")
    in_window = and_(
        row.c.cluster == names.c.name,
        row.c.arm.is_not(None),
        names.c.occurred_at >= as_long_before(row.c.t0, row.c.window_end, sqlite=sqlite),
        names.c.occurred_at < row.c.window_end,
    )
    joined = union_all(
        select(row.c.outreach_id, names.c.heard).join(names, in_window),
        # A merge changes who is one account, whatever was said.
        *(
            select(row.c.outreach_id, merge.c.at)
            .join(merge, and_(row.c.cluster == side, row.c.arm.is_not(None)))
            .where(merge.c.at >= since)
            for side in (merge.c.old, merge.c.into)
        ),
    ).subquery("joined")
    end = select(func.max(row.c.window_end)).where(row.c.outreach_id == latest.outreach).scalar_subquery()
    return (
        select(
            latest.outreach,
            latest.reason_code,
            latest.recorded_at,
            func.max(joined.c.heard).label("heard"),
            end.label("end"),
        )
        .join(joined, joined.c.outreach_id == latest.outreach)
        .group_by(latest.outreach, latest.reason_code, latest.recorded_at)
    )


def _given_up(watermark: datetime) -> Select[tuple[str, str, datetime]]:
    row, latest = table(RecipientRow), _latest().c
    end = func.max(row.c.window_end)
    return (
        select(latest.outreach, latest.reason_code, end.label("end"))
        .join(row, row.c.outreach_id == latest.outreach)
        .where(latest.grade == "E", latest.rates == 0, latest.clusters > 0)
        .group_by(latest.outreach, latest.reason_code)
        .having(end <= watermark)
    )
