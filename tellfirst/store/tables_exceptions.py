"""The tables of exceptions: what was asked for, and the budgets that it is taken from."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


def _amount() -> Any:
    return Field(sa_column=Column(BigInteger, nullable=False))


class ExceptionRow(SQLModel, table=True):
    """Is one request for more than the message: for whom, what, and what became of it."""

    __tablename__: ClassVar[Any] = "exceptions"

    id: str = Field(primary_key=True)
    first_run: str
    outreach_id: str = Field(index=True)
    revision: int
    recipient_id: int | None = None
    customer_id: str = Field(index=True)
    kind: str
    amount_minor: int = _amount()
    currency: str
    requester: str
    ticket: str = ""
    channel: str = ""  # the answer leaves on; empty when the customer has none
    locale: str = ""
    status: str = Field(index=True)
    code: str = ""
    reason: str = ""
    ask: str = ""  # whom, when it was refused
    customer_budget: str = ""
    outreach_budget: str = ""
    opened_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    decide_by: datetime = Field(sa_column=Column(Instant, nullable=False))
    closed_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))


class BudgetRow(SQLModel, table=True):
    """Is what was taken out of one budget, in minor units: reserved by requests, consumed by grants."""

    __tablename__: ClassVar[Any] = "exception_budgets"
    __table_args__: ClassVar[Any] = (
        CheckConstraint("reserved >= 0", name="exception_budgets_reserved"),
        CheckConstraint("consumed >= 0", name="exception_budgets_consumed"),
    )

    key: str = Field(primary_key=True)
    reserved: int = _amount()
    consumed: int = _amount()
