"""Windows as they close: what accounts did in their own, by arm and hold-out share, counted in one query."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    Label,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    text,
)
from sqlmodel import Session

from tellfirst.domain.figures import ArmFigures, OutreachFigures, Sums
from tellfirst.store.engine import Database, Instant
from tellfirst.store.statements import table
from tellfirst.store.tables import ConsentRow, ContactRow, CustomerRow, OutreachRow, RecipientRow
from tellfirst.store.tables_contacts import MergeRow

SORTING = "256MB"
"""Memory that PostgreSQL may take for one sort or hash here; below it a million accounts are sorted on disk."""

Ids = BindParameter[Sequence[str]]
_PAIRS = {
    "contacts": ("about", "about_before"),
    "all_contacts": ("any", "any_before"),
    "seconds": ("long", "long_before"),
}


class Counted(OutreachFigures):
    """Is what the windows of one outreach hold, and when the first and the last of its accounts were drawn."""

    first_t0: datetime
    last_t0: datetime


class Windows:
    """Counts contacts by window; what it returns follows from what is stored, whoever asks and in whatever order.

    A window is that of an account: [t0, t0 + W) of its first row in an outreach, whose arm and share stand. Accounts
    that were merged are one. A contact about the reason counts for the window that began first of those about this
    reason that are open for the account, and for that alone; one about another reason counts beside each of them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, outreach: str, *, until: datetime | None = None) -> Counted | None:
        """Returns the figures of an outreach, None where nobody was drawn; without windows that end after `until`."""
        return self.count_all([outreach], until=until).get(outreach)

    def count_all(self, outreaches: Sequence[str], *, until: datetime | None = None) -> dict[str, Counted]:
        """Returns the same of several outreaches by one query; those in which nobody was drawn are not among them."""
        found: dict[str, dict[str, Any]] = {}
        with self._database.read() as session:
            if not self._database.is_sqlite:
                session.execute(text(f"SET LOCAL work_mem = '{SORTING}'"))
            for some, others in _related(session, outreaches):
                query = _query(bool(others), until is not None, self._database.is_sqlite)
                given: dict[str, Any] = {"outreaches": list(some)}
                given |= {"among": [*some, *others]} if others else {}
                given |= {"until": until} if until is not None else {}
                for row in session.execute(query, given).mappings():
                    one = found.setdefault(row["outreach"], {**row, **some[row["outreach"]], "figures": []})
                    one["figures"].append(_figures(row))
                    one["first_t0"] = min(one["first_t0"], row["first_t0"])
                    one["last_t0"] = max(one["last_t0"], row["last_t0"])
        for one in found.values():
            one["figures"].sort(key=lambda arm: (arm.arm != "treated", arm.share))
        return {outreach: Counted.model_validate(one) for outreach, one in sorted(found.items())}

    def running(self, *, until: datetime) -> list[OutreachFigures]:
        """Returns the figures of open outreaches, of the windows that ended by `until`."""
        outreach, row = table(OutreachRow), table(RecipientRow)
        drawn = select(row.c.id).where(row.c.outreach_id == outreach.c.id, row.c.window_end <= until).exists()
        query = select(outreach.c.id).where(outreach.c.closed_at.is_(None), drawn).order_by(outreach.c.id)
        with self._database.read() as session:
            some = list(session.execute(query).scalars())
        return list(self.count_all(some, until=until).values())


def _related(session: Session, outreaches: Sequence[str]) -> Iterator[tuple[dict[str, dict[str, str]], list[str]]]:
    """Yields the outreaches of each reason, with what names them, and the others of it that may have windows before."""
    row = table(OutreachRow)
    asked = select(row.c.id, row.c.trigger, row.c.reason_code, row.c.started_at).where(row.c.id.in_(outreaches))
    by_reason: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    first: dict[str, datetime] = {}
    for id_, trigger, reason, started_at in session.execute(asked.order_by(row.c.id)):
        by_reason[reason][id_] = {"trigger": trigger, "reason_code": reason}
        first[reason] = min(first.get(reason, started_at), started_at)
    for reason, some in by_reason.items():
        # No window is open once its outreach has closed.
        open_then = or_(row.c.closed_at.is_(None), row.c.closed_at >= first[reason])
        others = select(row.c.id).where(row.c.reason_code == reason, open_then, row.c.id.not_in(some))
        yield some, list(session.execute(others.order_by(row.c.id)).scalars())


@cache
def _query(among_others: bool, bounded: bool, sqlite: bool) -> Any:
    # Written once: for an outreach to one customer that takes longer than the database does.
    outreaches: Ids = bindparam("outreaches", expanding=True)
    among: Ids = bindparam("among", expanding=True) if among_others else outreaches
    until: Any = bindparam("until", type_=Instant) if bounded else None
    return figures(outreaches, among, until=until, sqlite=sqlite)


def figures(outreaches: Ids, among: Ids, *, until: BindParameter[datetime] | None, sqlite: bool) -> Any:
    """Returns the query for the figures of outreaches, by arm and share; those `among` them are of their reason."""
    every = accounts(outreaches, among, sqlite=sqlite).subquery("accounts")
    one = every.c
    key = (one.outreach, one.arm, one.share)
    return (
        select(
            *key,
            func.min(one.t0).label("first_t0"),
            func.max(one.t0).label("last_t0"),
            func.count().label("clusters"),
            func.count().filter(one.about > 0).label("contacted"),
            func.count().filter(one.any > one.about).label("elsewhere"),
            func.count().filter(one.any > 0).label("anyhow"),
            func.count().filter(one.about > 1).label("repeated"),
            func.count().filter(one.opted_out).label("opted_out"),
            func.count().filter(one.crossed).label("crossed"),
            _sum(one.untimed).label("untimed"),
            _sum(one.resolved).label("resolved"),
            _sum(one.resolution).label("resolution_y"),
            _sum(one.resolution_squared).label("resolution_yy"),
            *(label for name, (y, x) in _PAIRS.items() for label in _sums(name, one[y], one[x])),
        )
        .where(*([] if until is None else [one.window_end <= until]))
        .group_by(*key)
    )


def accounts(outreaches: Ids, among: Ids, *, sqlite: bool) -> Any:
    """Returns the query for the accounts of outreaches, one row each: its window and what it did there, or null."""
    units = _units(outreaches, among, sqlite=sqlite)
    own, left = _by_unit(_touched(units, sqlite=sqlite)), _opted_out(units)
    # Both hold nothing that `units` lacks; a full join keeps PostgreSQL, which expects few rows, from a nested loop.
    both = units.join(own, own.c.unit == units.c.unit, full=True).join(left, left.c.unit == units.c.unit, full=True)
    return select(
        *(one for one in units.c if one.name not in ("since", "free")),
        *(one for one in own.c if one.name != "unit"),
        left.c.unit.is_not(None).label("opted_out"),
    ).select_from(both)


def _units(outreaches: Ids, among: Ids, *, sqlite: bool) -> CTE:
    """Returns the accounts of outreaches, one row each: their first window, and from when on it is theirs alone."""
    row, outreach = table(RecipientRow), table(OutreachRow)
    source, account = _drawn(outreaches, among)
    # From the last row back to the first: what is known there, where no row follows, is known of all of them.
    back: dict[str, Any] = {
        "partition_by": [account, row.c.outreach_id],
        "order_by": [row.c.t0.desc(), row.c.id.desc()],
    }
    rows = (
        select(
            row.c.id.label("unit"),
            row.c.outreach_id.label("outreach"),
            outreach.c.reason_code,
            account.label("account"),
            row.c.arm,
            row.c.share,
            row.c.t0,
            row.c.window_end,
            func.lead(row.c.id).over(**back).label("earlier"),
            func.min(row.c.arm).over(**back).label("one_arm"),
            func.max(row.c.arm).over(**back).label("other_arm"),
        )
        .select_from(source.join(outreach, outreach.c.id == row.c.outreach_id))
        # Who is told of a correction has no window of it.
        .where(row.c.outreach_id.in_(among), row.c.arm.is_not(None), row.c.t0.is_not(None))
        .subquery("rows")
    )
    taken = func.max(rows.c.window_end).over(
        partition_by=[rows.c.account, rows.c.reason_code],
        order_by=[rows.c.t0, rows.c.outreach, rows.c.unit],
        rows=(None, -1),
    )
    firsts = (
        select(
            *(rows.c[name] for name in ("unit", "outreach", "reason_code", "account", "arm", "share")),
            rows.c.t0,
            rows.c.window_end,
            (rows.c.one_arm != rows.c.other_arm).label("crossed"),
            taken.label("taken"),
        )
        .where(rows.c.earlier.is_(None))
        .subquery("firsts")
    )
    first = firsts.c
    return (
        select(
            *(one for one in first if one.name != "taken"),
            as_long_before(first.t0, first.window_end, sqlite=sqlite).label("since"),
            case((first.taken > first.t0, first.taken), else_=first.t0).label("free"),
        )
        .where(first.outreach.in_(outreaches))
        .cte("units")
        .prefix_with("MATERIALIZED")
    )


def _drawn(outreaches: Ids, among: Ids) -> tuple[FromClause, ColumnElement[Any]]:
    """Returns the rows of outreaches, of those `among` them those of the same accounts alone, and whose each is now."""
    row, merge = table(RecipientRow), table(MergeRow)
    merged, now = row.outerjoin(merge, merge.c.old == row.c.cluster), func.coalesce(merge.c.into, row.c.cluster)
    if among is outreaches:
        return merged, now
    asked = and_(row.c.outreach_id.in_(outreaches), row.c.arm.is_not(None))
    mine = select(now.label("account")).select_from(merged).where(asked).distinct().cte("mine")
    # Every name that such an account was drawn under, here or in another outreach.
    names = (
        select(mine.c.account, mine.c.account.label("name"))
        .union_all(select(merge.c.into, merge.c.old).join(mine, mine.c.account == merge.c.into))
        .cte("names")
    )
    return names.join(row, row.c.cluster == names.c.name), names.c.account


def _touched(units: CTE, *, sqlite: bool) -> CTE:
    """Returns the contacts of accounts in their window and as long before it, each beside its account."""
    contact, unit = table(ContactRow), units.c
    about, after = contact.c.reason_code == unit.reason_code, contact.c.occurred_at >= unit.t0
    return (
        select(
            unit.unit,
            unit.outreach,
            contact.c.reason_code,
            about.label("about"),
            after.label("after"),
            contact.c.handle_seconds,
            case((and_(about, after), _seconds(contact.c.occurred_at, contact.c.resolved_at, sqlite=sqlite))).label(
                "resolution"
            ),
        )
        .join(
            units,
            and_(
                contact.c.cluster == unit.account,
                contact.c.occurred_at >= unit.since,
                contact.c.occurred_at < unit.window_end,
            ),
        )
        .where(or_(~about, ~after, contact.c.occurred_at >= unit.free))
        .cte("touched")
        .prefix_with("MATERIALIZED")
    )


def _by_unit(touched: CTE) -> CTE:
    """Returns per account what its contacts come to; one without a handle time took as long as others of its reason."""
    one = touched.c
    usual = (
        select(one.outreach, one.reason_code, cast(func.round(func.avg(one.handle_seconds)), BigInteger).label("long"))
        .group_by(one.outreach, one.reason_code)
        .cte("usual")
    )
    long = cast(func.coalesce(one.handle_seconds, usual.c.long, 0), BigInteger)
    before, timed = ~one.after, one.handle_seconds.is_not(None)
    return (
        select(
            one.unit,
            func.count().filter(one.about, one.after).label("about"),
            func.count().filter(one.about, before).label("about_before"),
            func.count().filter(one.after).label("any"),
            func.count().filter(before).label("any_before"),
            cast(func.sum(long).filter(one.after), BigInteger).label("long"),
            cast(func.sum(long).filter(before), BigInteger).label("long_before"),
            func.count().filter(one.after, ~timed).label("untimed"),
            func.count(one.resolution).label("resolved"),
            _sum(one.resolution).label("resolution"),
            func.sum(one.resolution * one.resolution).label("resolution_squared"),
        )
        .select_from(
            touched.outerjoin(usual, and_(usual.c.outreach == one.outreach, usual.c.reason_code == one.reason_code))
        )
        .group_by(one.unit)
        .cte("own")
    )


def _opted_out(units: CTE) -> CTE:
    """Returns the accounts of which somebody said in the window that they do not want messages."""
    said, customer, unit = table(ConsentRow), table(CustomerRow), units.c
    # From what was said: there is far less of it than there are accounts.
    between = (
        said.c.at >= select(func.min(unit.t0)).scalar_subquery(),
        said.c.at < select(func.max(unit.window_end)).scalar_subquery(),
    )
    refused = (
        select(customer.c.cluster, said.c.at)
        .join(said, said.c.customer_id == customer.c.id)
        .where(said.c.allowed.is_(False), *between)
        .cte("refused")
        .prefix_with("MATERIALIZED")
    )
    in_window = and_(refused.c.cluster == unit.account, refused.c.at >= unit.t0, refused.c.at < unit.window_end)
    return select(unit.unit).join(refused, in_window).distinct().cte("opted_out")


def _sum(of: ColumnElement[Any]) -> ColumnElement[Any]:
    # Not the other way round: nulls are passed over, and half of all accounts have nothing to add.
    return func.coalesce(func.sum(of), 0)


def _sums(name: str, y: ColumnElement[Any], x: ColumnElement[Any]) -> tuple[Label[Any], ...]:
    given = {"y": y, "yy": y * y, "x": x, "xx": x * x, "xy": x * y}
    return tuple(_sum(value).label(f"{name}_{of}") for of, value in given.items())


def as_long_before(t0: ColumnElement[Any], end: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[Any]:
    """Returns the instant as long before `t0` as `end` lies behind it."""
    if not sqlite:
        return t0 - (end - t0)
    # Text there, compared as text; to the millisecond, which is all that its dates know.
    days = 2 * func.julianday(t0) - func.julianday(end)
    return func.strftime("%Y-%m-%d %H:%M:%f", days, type_=Instant)


def _seconds(start: ColumnElement[Any], end: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[Any]:
    # Whole ones: sums of them come out the same in whatever order they are added up.
    if sqlite:
        return cast(func.strftime("%s", end), Integer) - cast(func.strftime("%s", start), Integer)
    return cast(func.floor(func.extract("epoch", end)) - func.floor(func.extract("epoch", start)), BigInteger)


def _figures(row: Any) -> ArmFigures:
    n = row["clusters"]
    names = ("contacted", "elsewhere", "anyhow", "repeated", "opted_out", "crossed", "untimed", "resolved")
    sums = {name: Sums(n=n, **{of: row[f"{name}_{of}"] for of in ("y", "yy", "x", "xx", "xy")}) for name in _PAIRS}
    resolution = Sums(n=row["resolved"], y=row["resolution_y"], yy=row["resolution_yy"])
    counts = {name: row[name] for name in names}
    return ArmFigures(arm=row["arm"], share=row["share"], clusters=n, resolution=resolution, **counts, **sums)
