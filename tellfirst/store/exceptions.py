"""Exceptions and their budgets: reserved when asked, consumed when granted, released when not; never exceeded."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import ExceptionChanged
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.signing.trail import Entry, Fact, Link
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import RecipientRow
from tellfirst.store.tables_exceptions import BudgetRow, ExceptionRow
from tellfirst.store.telling import tell

PENDING = "pending"
GRANTED = "granted"
EXECUTED = "executed"
STOPPED = "stopped"
TAKEN = (PENDING, GRANTED, EXECUTED, STOPPED)
"""Statuses that take from the budgets: the first reserves, the others consume."""
REFUSED = "refused"
KIND = "exception"
"""The kind of their entries in the audit log."""
GRACE = timedelta(days=1)
"""How long after its deadline a request without an end holds what it reserved: a decision in time is recorded by then.
"""
Unmet = Literal["rejected", "expired", "withdrawn"]
"""How a request ends that nobody granted: its reservation is released."""


class NewException(Frozen):
    """Is a request as it is put."""

    id: str
    first_run: str
    outreach_id: str
    revision: int
    recipient_id: int | None = None
    customer_id: str
    kind: str
    amount_minor: int
    currency: str
    requester: str
    ticket: str = ""
    channel: str = ""
    locale: str = ""
    opened_at: datetime
    decide_by: datetime


class ExceptionRecord(NewException):
    """Is a request as it stands: pending, granted, executed, refused, rejected, expired, withdrawn or stopped."""

    status: str
    code: str = ""
    reason: str = ""
    ask: str = ""
    closed_at: datetime | None = None


class Refusal(Frozen):
    """Says why a request was refused, and whom to ask."""

    code: str
    reason: str
    ask: str


class Budgets(Frozen):
    """Is the most that one customer in a year and one outreach may come to, in minor units, with the refusals."""

    per_customer: int
    per_outreach: int
    customer_spent: Refusal
    outreach_spent: Refusal


class Spent(Frozen):
    """Is what was taken out of a budget."""

    reserved: int
    consumed: int


class AffectedCustomer(Frozen):
    """Is a customer of an outreach as its latest revision knows them; `channel` is empty when they have none."""

    revision: int
    recipient_id: int
    channel: str
    locale: str


class Exceptions:
    """Keeps exceptions and holds their budgets; every step has its entry in the audit log."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def customer_of(self, outreach: str, customer: str) -> AffectedCustomer | None:
        """Returns the row of a customer among those an outreach affects, in either arm; None when they are not."""
        query = (
            select(RecipientRow)
            .where(RecipientRow.outreach_id == outreach, RecipientRow.customer_id == customer)
            .order_by(
                (col(RecipientRow.verdict) == ELIGIBLE).desc(),
                col(RecipientRow.revision).desc(),
                col(RecipientRow.position),
            )
            .limit(1)
        )
        with self._database.read() as session:
            row = session.exec(query).first()
        if row is None:
            return None
        told = row.verdict == ELIGIBLE and row.page is not None
        return AffectedCustomer(
            revision=row.revision,
            recipient_id=row.id or 0,
            channel=(row.channel or "") if told else "",
            locale=row.locale or "",
        )

    def refuse(self, new: NewException, why: Refusal) -> ExceptionRecord:
        """Keeps a request that is refused, and returns how it stands."""
        with self._database.write() as session:
            first = _insert(session, new, status=REFUSED, closed_at=new.opened_at, **why.model_dump())
            record = _record(session.get_one(ExceptionRow, new.id))
            if first:
                self._note(session, record, new.opened_at, by=new.requester)
            return record

    def claim(self, new: NewException, budgets: Budgets) -> ExceptionRecord:
        """Keeps a request and reserves its amount in both budgets, or keeps it as refused; returns how it stands.

        One that is there already stays. However many claims run at once, no budget is exceeded: each takes its amount
        by one conditional update.
        """
        year = new.opened_at.year
        customer = f"customer/{new.customer_id}/{new.kind}/{new.currency}/{year}"
        outreach = f"outreach/{new.outreach_id}/{new.kind}/{new.currency}"
        self._release_overdue(customer, outreach, new.opened_at)
        with self._database.write() as session:
            keys = {"customer_budget": customer, "outreach_budget": outreach}
            if not _insert(session, new, status=PENDING, **keys):
                return _record(session.get_one(ExceptionRow, new.id))
            refusal: Refusal | None = None
            if not _reserve(session, customer, new.amount_minor, budgets.per_customer):
                refusal = budgets.customer_spent
            elif not _reserve(session, outreach, new.amount_minor, budgets.per_outreach):
                _move(session, customer, reserved=-new.amount_minor)
                refusal = budgets.outreach_spent
            row = session.get_one(ExceptionRow, new.id)
            if refusal is not None:
                row.sqlmodel_update({"status": REFUSED, "closed_at": new.opened_at, **refusal.model_dump()})
                session.add(row)
                session.flush()
            self._note(session, _record(row), new.opened_at, by=new.requester)
            return _record(row)

    def grant(self, id_: str, *, at: datetime) -> bool:
        """Consumes what a pending request had reserved, and returns whether it was pending still."""
        return self._decided(id_, GRANTED, reserved=-1, consumed=1, at=at)

    def release(self, id_: str, status: Unmet, *, at: datetime) -> bool:
        """Gives back what a pending request had reserved, and returns whether it was pending still."""
        return self._decided(id_, status, reserved=-1, consumed=0, at=at, closed_at=at)

    def close(self, id_: str, status: Literal["executed", "stopped"], *, at: datetime, code: str = "") -> bool:
        """Records how a granted exception ended, and returns whether it was open still; what it took stays taken."""
        with self._database.write() as session:
            if not _set(session, id_, (GRANTED,), status=status, code=code, closed_at=at):
                return False
            self._note(session, _record(session.get_one(ExceptionRow, id_)), at)
            return True

    def get(self, id_: str) -> ExceptionRecord | None:
        """Returns one exception, or None."""
        with self._database.read() as session:
            row = session.get(ExceptionRow, id_)
            return None if row is None else _record(row)

    def all(self, *, outreach: str = "", status: str = "") -> list[ExceptionRecord]:
        """Returns the exceptions of an outreach or of all, of one status or of any, in the order they were opened."""
        query = select(ExceptionRow).order_by(col(ExceptionRow.opened_at), col(ExceptionRow.id))
        if outreach:
            query = query.where(ExceptionRow.outreach_id == outreach)
        if status:
            query = query.where(ExceptionRow.status == status)
        with self._database.read() as session:
            return [_record(row) for row in session.exec(query)]

    def spent(self, key: str) -> Spent:
        """Returns what was taken out of a budget."""
        with self._database.read() as session:
            row = session.get(BudgetRow, key)
            return Spent(reserved=row.reserved if row else 0, consumed=row.consumed if row else 0)

    def budgets_of(self, id_: str) -> tuple[str, str]:
        """Returns the keys of the customer's and of the outreach's budget that a request took from."""
        with self._database.read() as session:
            row = session.get_one(ExceptionRow, id_)
            return row.customer_budget, row.outreach_budget

    def _decided(self, id_: str, status: str, *, reserved: int, consumed: int, at: datetime, **values: object) -> bool:
        with self._database.write() as session:
            if not _set(session, id_, (PENDING,), status=status, **values):
                return False
            row = session.get_one(ExceptionRow, id_)
            for key in (row.customer_budget, row.outreach_budget):
                _move(session, key, reserved=reserved * row.amount_minor, consumed=consumed * row.amount_minor)
            self._note(session, _record(row), at)
            return True

    def _release_overdue(self, customer: str, outreach: str, now: datetime) -> None:
        """Gives back what requests hold that nobody can grant any more: their workflows were ended from outside."""
        mine = or_(col(ExceptionRow.customer_budget) == customer, col(ExceptionRow.outreach_budget) == outreach)
        overdue = (col(ExceptionRow.status) == PENDING, col(ExceptionRow.decide_by) < now - GRACE)
        with self._database.read() as session:
            ids = list(session.exec(select(ExceptionRow.id).where(mine, *overdue)))
        for id_ in ids:
            self.release(id_, "expired", at=now)

    def _note(self, session: Session, record: ExceptionRecord, at: datetime, *, by: str = "") -> None:
        """Writes down how a request stands; who decided it stands in the entries of the decisions."""
        entry = Entry(kind=KIND, about=f"exception/{record.id}", actor=by, at=at, facts=_facts(record))
        self._chain.append(entry, session)
        changed = {**record.model_dump(), "customer": record.customer_id, "request": record.id}
        tell(session, ExceptionChanged.model_validate({**changed, "outreach": record.outreach_id}), at=at)


def differences(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence for the exceptions that are not as the audit log says, and for budgets that do not add up."""
    told = {link.about.partition("/")[2]: link.facts for link in links if link.kind == KIND}
    requesters = {link.about.partition("/")[2]: link.actor for link in links if link.kind == KIND and link.actor}
    taken: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    changed = alone = 0
    for row in session.exec(select(ExceptionRow)):
        facts = told.pop(row.id, None)
        alone += facts is None
        asked_by = requesters.get(row.id, row.requester)  # what is no plain name is not written down
        changed += facts is not None and (facts, asked_by) != (_facts(_record(row)), row.requester)
        if row.status in TAKEN:
            for key in (row.customer_budget, row.outreach_budget):
                taken[key][TAKEN.index(row.status) > 0] += row.amount_minor
    kept = {row.key: [row.reserved, row.consumed] for row in session.exec(select(BudgetRow))}
    wrong = sum(kept.get(key, [0, 0]) != taken[key] for key in {*kept, *taken})
    rows = [
        f"audit log: {count:,} {'exception' if count == 1 else 'exceptions'} {words}"
        for count, words in (
            (changed, "changed since the entry was written"),
            (alone, "in the database without an entry"),
            (len(told), "in the log but no longer in the database"),
        )
        if count
    ]
    if not wrong:
        return rows
    what = "budget of exceptions is" if wrong == 1 else "budgets of exceptions are"
    return [*rows, f"{wrong:,} {what} not what was taken out of {'it' if wrong == 1 else 'them'}"]


def _facts(record: ExceptionRecord) -> dict[str, Fact]:
    return {
        "status": record.status,
        "exception": record.kind,
        "amount_minor": record.amount_minor,
        "currency": record.currency,
        "outreach": record.outreach_id,
        "code": record.code,
    }


def _insert(session: Session, new: NewException, **values: object) -> bool:
    blank = {"code": "", "reason": "", "ask": "", "customer_budget": "", "outreach_budget": "", "closed_at": None}
    return insert_new(session, ExceptionRow, [{**new.model_dump(), **blank, **values}]) == 1


def _reserve(session: Session, key: str, amount: int, limit: int) -> bool:
    insert_new(session, BudgetRow, [{"key": key, "reserved": 0, "consumed": 0}])
    return _move(session, key, col(BudgetRow.reserved) + col(BudgetRow.consumed) + amount <= limit, reserved=amount)


def _move(
    session: Session, key: str, only: ColumnElement[bool] | None = None, *, reserved: int = 0, consumed: int = 0
) -> bool:
    moved = {"reserved": BudgetRow.reserved + reserved, "consumed": BudgetRow.consumed + consumed}
    statement = update(BudgetRow).where(col(BudgetRow.key) == key).values(**moved)
    done = session.execute(statement if only is None else statement.where(only))
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _set(session: Session, id_: str, before: tuple[str, ...], **values: object) -> bool:
    still = (col(ExceptionRow.id) == id_, col(ExceptionRow.status).in_(before))
    done = session.execute(update(ExceptionRow).where(*still).values(**values))
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _record(row: ExceptionRow) -> ExceptionRecord:
    return ExceptionRecord.model_validate(row.model_dump(exclude={"customer_budget", "outreach_budget"}))
