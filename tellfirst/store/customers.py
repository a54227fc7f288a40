"""Customers, their addresses and what they allowed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.policy.verdict import Consent
from tellfirst.store.accounts import RULES, merged
from tellfirst.store.engine import Database
from tellfirst.store.preferences import NONE, Preference, preferences_of
from tellfirst.store.statements import beside, chunks, table
from tellfirst.store.tables import ConsentRow, ContactPointRow, ContactRow, CustomerRow


class Address(Frozen):
    """Is one address and whether it still works."""

    address: str
    usable: bool


class Customer(Frozen):
    """Is what a plan needs to know of one customer."""

    id: str
    first_name: str | None
    locale: str
    timezone: str | None
    cluster: str
    addresses: dict[str, Address]
    consents: tuple[Consent, ...]
    region: str | None = None
    business: bool = False
    high_value: bool = False
    preferred: str | None = None
    preference: Preference = NONE


class CustomerRecord(Frozen):
    """Is one customer as imported."""

    id: str
    first_name: str | None = None
    locale: str = "en"
    timezone: str | None = None
    region: str | None = None
    business: bool = False
    high_value: bool = False
    preferred: str | None = None
    cluster: str = ""
    addresses: dict[str, str]
    opted_out: tuple[str, ...] = ()


class Customers:
    """Reads and keeps customers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, records: Sequence[CustomerRecord], *, now: datetime, source: str) -> None:
        """Adds or replaces customers, all or none; an import never undoes an opt-out, nor a merge of accounts.

        Who comes without an account stays in theirs.
        """
        with self._database.write() as session:
            beside(session, RULES)
            for chunk in chunks(records):
                _save(session, chunk, now=now, source=source)
                session.flush()
                session.expunge_all()  # a file of a million customers is not kept in memory twice

    def resolve(self, refs: Sequence[str]) -> dict[str, Customer]:
        """Returns the known customers among `refs`, by id."""
        found: dict[str, Customer] = {}
        customer, point, consent = table(CustomerRow).c, table(ContactPointRow).c, table(ConsentRow).c
        who = select(*(column for column in customer if column.name != "created_at"))
        said = select(*(consent[name] for name in ("customer_id", "channel", "purpose", "allowed", "at")))
        where_to = select(point.customer_id, point.channel, point.address, point.usable)
        with self._database.read() as session:
            for chunk in chunks(refs):
                consents: dict[str, list[Consent]] = defaultdict(list)
                for c in session.execute(said.where(consent.customer_id.in_(chunk))).all():
                    consents[c.customer_id].append(
                        Consent(channel=c.channel, purpose=c.purpose, allowed=c.allowed, at=c.at)
                    )
                addresses: dict[str, dict[str, Address]] = defaultdict(dict)
                for p in session.execute(where_to.where(point.customer_id.in_(chunk))).all():
                    addresses[p.customer_id][p.channel] = Address(address=p.address, usable=p.usable)
                chosen = preferences_of(session, chunk)
                for row in session.execute(who.where(customer.id.in_(chunk))).all():
                    found[row.id] = Customer(
                        id=row.id,
                        first_name=row.first_name,
                        locale=row.locale,
                        timezone=row.timezone,
                        cluster=row.cluster,
                        addresses=addresses[row.id],
                        consents=tuple(consents[row.id]),
                        region=row.region,
                        business=row.business,
                        high_value=row.high_value,
                        preferred=row.preferred,
                        preference=chosen.get(row.id, NONE),
                    )
        return found

    def known(self, customers: Sequence[str]) -> set[str]:
        """Returns which of these customers are here."""
        found: set[str] = set()
        with self._database.read() as session:
            for chunk in chunks(customers):
                found.update(session.exec(select(CustomerRow.id).where(col(CustomerRow.id).in_(chunk))))
        return found

    def exists(self, customer: str) -> bool:
        """Returns whether the customer is known."""
        with self._database.read() as session:
            return session.get(CustomerRow, customer) is not None

    def mark_unusable(self, customers: Mapping[str, str]) -> None:
        """Records that an address will never work: customer id to channel."""
        with self._database.write() as session:
            for customer, channel in customers.items():
                session.execute(
                    update(ContactPointRow)
                    .where(col(ContactPointRow.customer_id) == customer, col(ContactPointRow.channel) == channel)
                    .values(usable=False)
                )


def _save(session: Session, records: Sequence[CustomerRecord], *, now: datetime, source: str) -> None:
    ids = [record.id for record in records]
    rows = {row.id: row for row in session.exec(select(CustomerRow).where(col(CustomerRow.id).in_(ids)))}
    known = set(rows)
    points: dict[str, dict[str, ContactPointRow]] = defaultdict(dict)
    for point in session.exec(select(ContactPointRow).where(col(ContactPointRow.customer_id).in_(ids))):
        points[point.customer_id][point.channel] = point
    for record in records:
        row = rows.setdefault(record.id, CustomerRow(id=record.id, cluster="", created_at=now))
        row.first_name, row.locale, row.timezone = record.first_name, record.locale, record.timezone
        row.region, row.business, row.high_value = record.region, record.business, record.high_value
        row.preferred = record.preferred
        row.cluster = record.cluster or row.cluster or record.id
    into = merged(session, {row.cluster for row in rows.values()})
    for row in rows.values():
        row.cluster = into.get(row.cluster, row.cluster)
    session.add_all(rows.values())
    session.flush()  # before what refers to them
    _introduce(session, [id_ for id_ in ids if id_ not in known])
    for record in records:
        here = points[record.id]
        for channel, address in record.addresses.items():
            if channel not in here:
                here[channel] = ContactPointRow(customer_id=record.id, channel=channel, address=address)
                session.add(here[channel])
            elif here[channel].address != address:
                here[channel].address, here[channel].usable = address, True
        for channel in [channel for channel in here if channel not in record.addresses]:
            gone = here.pop(channel)
            if gone.id is None:
                session.expunge(gone)
            else:
                session.delete(gone)
        session.add_all(
            ConsentRow(customer_id=record.id, channel=channel, purpose="*", allowed=False, at=now, source=source)
            for channel in record.opted_out
        )


def _introduce(session: Session, strangers: Sequence[str]) -> None:
    """Lets the contacts of who was a stranger so far count for the account that they turn out to belong to."""
    contact = (col(ContactRow.customer_id).in_(strangers), col(ContactRow.cluster) == col(ContactRow.customer_id))
    theirs = select(CustomerRow.cluster).where(col(CustomerRow.id) == col(ContactRow.customer_id)).scalar_subquery()
    if strangers:
        session.execute(update(ContactRow).where(*contact).values(cluster=theirs))
