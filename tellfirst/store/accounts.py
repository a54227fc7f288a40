"""Accounts: which customers are randomised together, and which of these turned out to be one."""

from collections.abc import Collection

from sqlmodel import Session, col, select

from tellfirst.store.tables import CustomerRow
from tellfirst.store.tables_contacts import MergeRow

ACCOUNTS = "accounts"
"""What is held while accounts are merged, so that nothing comes in under an account that is just going."""


def clusters_of(session: Session, customers: Collection[str]) -> dict[str, str]:
    """Returns the cluster of each customer, read through merges; one who is not among ours is their own."""
    ours = select(CustomerRow.id, CustomerRow.cluster).where(col(CustomerRow.id).in_(customers))
    clusters = {customer: customer for customer in customers} | dict(session.exec(ours).all())
    into = merged(session, set(clusters.values()))
    return {customer: into.get(cluster, cluster) for customer, cluster in clusters.items()}


def merged(session: Session, clusters: Collection[str]) -> dict[str, str]:
    """Returns what those of `clusters` that were merged are now."""
    return dict(session.exec(select(MergeRow.old, MergeRow.into).where(col(MergeRow.old).in_(clusters))).all())
