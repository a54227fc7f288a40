"""The table of what became of accounts; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class AccountEventRow(SQLModel, table=True):
    """Is what a source says became of an account at an instant; a correction is a further version, never an edit."""

    __tablename__: ClassVar[Any] = "account_events"
    __table_args__: ClassVar[Any] = (Index("account_events_account", "account", "at"),)

    source: str = Field(primary_key=True)
    account: str = Field(primary_key=True)  # the cluster
    at: datetime = Field(sa_column=Column(Instant, primary_key=True, nullable=False))
    version: int = Field(primary_key=True)
    event: str
    value_minor: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    imported_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    replaced_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))  # by its next version
