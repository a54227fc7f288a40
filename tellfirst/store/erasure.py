"""Erasure: what is known of one customer goes, what was done and measured stays under a name that says nothing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import true
from sqlmodel import Session, SQLModel, col, delete, func, select, update

from tellfirst.domain.message import SendState
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.errors import NotFoundError
from tellfirst.signing.documents import digest
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.trail import Entry, Link
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.retention import EMPTIED
from tellfirst.store.rows import of_recipient, read_recipient
from tellfirst.store.statements import table
from tellfirst.store.tables import (
    AdmissionRow,
    ContactPointRow,
    ContactRow,
    CustomerRow,
    OutreachRow,
    RecipientRow,
    SendRow,
    SubjectRow,
)
from tellfirst.store.tables_account_events import AccountEventRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.tables_arrivals import EventRow
from tellfirst.store.tables_assignments import AssignmentRow
from tellfirst.store.tables_audit import AuditRow
from tellfirst.store.tables_call_tasks import CallTaskRow
from tellfirst.store.tables_contacts import ContactVersionRow, MergeRow
from tellfirst.store.tables_exceptions import BudgetRow, ExceptionRow
from tellfirst.store.tables_feed import FeedEventRow
from tellfirst.store.tables_inbox import InboxRow
from tellfirst.store.tables_preferences import PreferenceRow
from tellfirst.store.tables_replies import ReplyRow

ERASURE = "customer_forgotten"
FORGOTTEN = "forgotten"
NAMES = ("customer_id", "customer_ref")
"""Columns that hold a customer's id, in whatever table."""
ACCOUNTS: Sequence[tuple[type[SQLModel], str]] = (
    (ContactRow, "cluster"),
    (ContactVersionRow, "cluster"),
    (MergeRow, "old"),
    (MergeRow, "into"),
    (AssignmentRow, "unit"),
    (AccountEventRow, "account"),
)
"""Columns that hold an account's name, which may be that of its only customer."""


class Erasure:
    """Forgets customers."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def forget(self, customer: str, alias: str, *, by: str, at: datetime) -> int:
        """Erases a customer and returns from how many rows of audiences; `alias` is an unused, meaningless name.

        Name, addresses, zone and facts are deleted and the id is replaced everywhere, in one transaction with its
        entry in the audit log. Of a row in a frozen audience its leaf stays, so that the signed root can still be
        recomputed. Raises NotFoundError for a customer of whom nothing is known.
        """
        with self._database.write() as session:
            shared = select(func.count()).where(CustomerRow.cluster == customer, CustomerRow.id != customer)
            alone = not session.exec(shared).one()
            # Locked: nothing is put into their inbox any more.
            known = session.get(CustomerRow, customer, with_for_update=True)
            _forget_replies(session, customer)
            session.execute(delete(PreferenceRow).where(col(PreferenceRow.customer_id) == customer))
            if known is not None:
                cluster = alias if known.cluster == customer and alone else known.cluster
                # Their language stays: whoever opens an old link can read that nothing else is kept.
                session.add(CustomerRow(id=alias, cluster=cluster, locale=known.locale, created_at=known.created_at))
                session.flush()  # before what refers to it
                session.execute(delete(ContactPointRow).where(col(ContactPointRow.customer_id) == customer))
                session.execute(delete(CallTaskRow).where(col(CallTaskRow.customer_id) == customer))
                session.execute(delete(InboxRow).where(col(InboxRow.customer_id) == customer))
                session.execute(delete(FeedEventRow).where(col(FeedEventRow.customer_id) == customer))
            leaves = _forget_recipients(session, customer, alias, alone=alone)
            mine = col(SendRow.customer_id) == customer
            waiting = col(SendRow.state).in_([SendState.PLANNED, SendState.DEFERRED])
            held = {"state": SendState.WITHHELD, "reason": FORGOTTEN, "settled_at": at}
            session.execute(update(SendRow).where(mine, waiting).values(**held))
            session.execute(update(SendRow).where(mine).values(body_digest=""))
            session.execute(update(AdmissionRow).where(col(AdmissionRow.customer_ref) == customer).values(facts={}))
            session.execute(update(SubjectRow).where(col(SubjectRow.customer_ref) == customer).values(facts={}))
            told = update(EventRow).where(col(EventRow.customer_id) == customer)
            session.execute(told.values(subject="", data={}))
            _rename_budgets(session, customer, alias)
            if alone:
                _rename_account(session, customer, alias)
            found = _rename(session, customer, alias)
            if known is None and not found:
                raise NotFoundError("nothing is known of that customer", remedy="give the id as it was imported")
            if known is not None:
                session.delete(known)
                session.flush()
            facts = {"rows": len(leaves), "leaves": _of(leaves)}
            self._chain.append(Entry(kind=ERASURE, about=alias, actor=by, at=at, facts=facts), session)
            return len(leaves)

    def forgot(self, alias: str) -> bool:
        """Returns whether a name stands for a customer who was forgotten, as an entry of the audit log tells."""
        query = select(AuditRow.sequence).where(AuditRow.kind == ERASURE, AuditRow.about == alias).limit(1)
        with self._database.read() as session:
            return session.exec(query).first() is not None


def unexplained(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence when rows of audiences are without content and no entry says that they were erased so."""
    told = {link.about: link.facts.get("leaves") for link in links if link.kind == ERASURE and link.facts.get("rows")}
    emptied = [str(link.facts.get("closed_before")) for link in links if link.kind == EMPTIED]
    closed = col(OutreachRow.closed_at)
    # Of those whose time had come only the forgotten are to be as they were written down: theirs may have gone before.
    forgotten = select(AuditRow.about).where(AuditRow.kind == ERASURE)
    kept = closed.is_(None) | (closed >= datetime.fromisoformat(max(emptied))) if emptied else true()
    due = (col(RecipientRow.outreach_id) == OutreachRow.id, kept | col(RecipientRow.customer_id).in_(forgotten))
    leaves: dict[str, list[str]] = {}
    of_choice = select(RecipientRow.customer_id, RecipientRow.leaf).where(col(RecipientRow.leaf).is_not(None), *due)
    alternate = select(RecipientRow.customer_id, AlternateRow.leaf).join(AlternateRow, of_recipient()).where(*due)
    for query in (of_choice, alternate.where(col(AlternateRow.leaf).is_not(None))):
        for customer, leaf in session.exec(query):
            leaves.setdefault(customer, []).append(leaf or "")
    found = {customer: _of(of_one) for customer, of_one in leaves.items()}
    wrong = sum(found.get(name) != told.get(name) for name in {*found, *told})
    return [f"audit log: {wrong:,} erasures are not as they were written down"] if wrong else []


def _forget_recipients(session: Session, customer: str, alias: str, *, alone: bool) -> list[str]:
    leaves = []
    for row in session.exec(select(RecipientRow).where(RecipientRow.customer_id == customer)):
        if row.page is not None:
            row.leaf = row.leaf or leaf_of(read_recipient(row), row.content_digest or "")
            row.withheld = row.withheld or (None if row.arm else FORGOTTEN)
            leaves.append(row.leaf)
        elif row.verdict == ELIGIBLE:
            row.verdict = FORGOTTEN
        leaves += _forget_alternates(session, row)
        if row.cluster == customer and alone:
            row.cluster = alias
        row.facts, row.timezone, row.address_digest, row.content_digest = {}, None, None, None
        row.promises = None
        session.add(row)
    session.flush()
    return leaves


def _forget_alternates(session: Session, row: RecipientRow) -> list[str]:
    query = select(AlternateRow).where(
        AlternateRow.outreach_id == row.outreach_id,
        AlternateRow.revision == row.revision,
        AlternateRow.position == row.position,
    )
    leaves = []
    for alternate in session.exec(query):
        if alternate.page is not None:
            kept = leaf_of(read_recipient(row, alternate), alternate.content_digest or "")
            alternate.leaf = alternate.leaf or kept
            leaves.append(alternate.leaf)
        alternate.address_digest, alternate.content_digest = None, None
        session.add(alternate)
    return leaves


def _forget_replies(session: Session, customer: str) -> None:
    """Empties what a customer wrote, also before anybody knew whose address it came from."""
    theirs = select(ContactPointRow.address).where(ContactPointRow.customer_id == customer)
    written = (col(ReplyRow.customer_id) == customer) | col(ReplyRow.address).in_(theirs)
    session.execute(update(ReplyRow).where(written).values(text="", address=""))


def _rename_budgets(session: Session, customer: str, alias: str) -> None:
    keys = select(ExceptionRow.customer_budget).where(ExceptionRow.customer_id == customer).distinct()
    for key in list(session.exec(keys)):
        renamed = key.replace(f"/{customer}/", f"/{alias}/", 1)
        session.execute(update(BudgetRow).where(col(BudgetRow.key) == key).values(key=renamed))
        held = col(ExceptionRow.customer_budget) == key
        session.execute(update(ExceptionRow).where(held).values(customer_budget=renamed))


def _rename_account(session: Session, customer: str, alias: str) -> None:
    """Renames an account that is called like the one customer it consists of."""
    for row, name in ACCOUNTS:
        session.execute(table(row).update().where(table(row).c[name] == customer).values({name: alias}))


def _rename(session: Session, customer: str, alias: str) -> int:
    renamed = 0
    for one in SQLModel.metadata.sorted_tables:
        for name in NAMES:
            if name in one.c:
                done = session.execute(one.update().where(one.c[name] == customer).values({name: alias}))
                renamed += done.rowcount  # type: ignore[attr-defined]
    return renamed


def _of(leaves: Sequence[str]) -> str:
    return digest({"leaves": sorted(leaves)})
