"""Accounts: which customers are randomised together, and which of these turned out to be one."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, SQLModel, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.errors import NotFoundError, RefusedError
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import alone, insert_new
from tellfirst.store.tables import ContactRow, CustomerRow
from tellfirst.store.tables_contacts import MergeRow

RULES = "accounts and reason codes"
"""What is held while accounts are merged or codes are mapped, so that nothing comes in by a rule that is just going."""


class Merged(Frozen):
    """Counts the customers and contacts that an account brought into the one it was merged into."""

    customers: int = 0
    contacts: int = 0


class Accounts:
    """Merges accounts."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def merge(self, old: str, into: str, *, by: str, now: datetime) -> Merged | None:
        """Makes one account of two, each named by itself or by a customer of it; None when they were one already.

        Customers and contacts go over; recipients keep what they were randomised as. Raises NotFoundError for an
        account of which nothing is known, and RefusedError when `old` was merged elsewhere or `into` is merged into it.
        """
        with self._database.write() as session:
            alone(session, RULES)
            here, there = _account(session, old, "OLD"), _account(session, into, "INTO")
            gone = merged(session, {here, there})
            end = gone.get(there, there)
            if here in gone:
                if gone[here] == end:
                    return None
                raise RefusedError("it was merged into another account already", where="OLD", remedy="merge that one")
            if end == here:
                raise RefusedError(
                    "is OLD itself" if there == here else "was merged into OLD",
                    where="INTO",
                    remedy="nothing needs to be merged: they are one account",
                )
            _note(session, here, end, by=by, now=now)
            result = Merged(
                customers=_move(session, CustomerRow, here, end), contacts=_move(session, ContactRow, here, end)
            )
            facts = result.model_dump()
            self._chain.append(Entry(kind="accounts_merged", about="accounts", actor=by, at=now, facts=facts), session)
            return result


def clusters_of(session: Session, customers: Collection[str]) -> dict[str, str]:
    """Returns the cluster of each customer, read through merges; one who is not among ours is their own."""
    ours = select(CustomerRow.id, CustomerRow.cluster).where(col(CustomerRow.id).in_(customers))
    clusters = {customer: customer for customer in customers} | dict(session.exec(ours).all())
    into = merged(session, set(clusters.values()))
    return {customer: into.get(cluster, cluster) for customer, cluster in clusters.items()}


def merged(session: Session, clusters: Collection[str]) -> dict[str, str]:
    """Returns what those of `clusters` that were merged are now."""
    return dict(session.exec(select(MergeRow.old, MergeRow.into).where(col(MergeRow.old).in_(clusters))).all())


def _account(session: Session, name: str, where: str) -> str:
    named = (
        select(MergeRow.old).where(MergeRow.old == name),
        select(CustomerRow.cluster).where(CustomerRow.cluster == name),
        select(CustomerRow.cluster).where(CustomerRow.id == name),
        select(ContactRow.cluster).where(ContactRow.cluster == name),
    )
    found = (session.exec(query.limit(1)).first() for query in named)
    if (account := next(filter(None, found), None)) is None:
        raise NotFoundError("nothing is known of such an account", where=where, remedy="import its customers first")
    return account


def _note(session: Session, old: str, into: str, *, by: str, now: datetime) -> None:
    # What was merged into `old` before goes on with it: one look at this table is always enough.
    session.execute(update(MergeRow).where(col(MergeRow.into) == old).values(into=into, at=now))
    insert_new(session, MergeRow, [{"old": old, "into": into, "at": now, "by": by}])


def _move(session: Session, row: type[SQLModel], old: str, into: str) -> int:
    cluster = col(row.cluster)  # type: ignore[attr-defined]
    moved: int = session.execute(update(row).where(cluster == old).values(cluster=into)).rowcount  # type: ignore[attr-defined]
    return moved
