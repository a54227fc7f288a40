"""The tables beside contacts: what they said before, what a helpdesk's codes mean, which accounts are one."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class ContactVersionRow(SQLModel, table=True):
    """Is what a contact said before it was corrected or withdrawn, append-only."""

    __tablename__: ClassVar[Any] = "contact_versions"
    __table_args__: ClassVar[Any] = (
        Index("contact_versions_cluster", "cluster", "occurred_at"),
        Index("contact_versions_replaced", "replaced_at"),
    )

    source: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    customer_id: str
    cluster: str
    reason_code: str
    given_code: str | None
    channel: str
    occurred_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    handle_seconds: int | None
    resolved_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))
    imported_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    replaced_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    cause: str  # corrected, mapped, withdrawn


class ReasonCodeRow(SQLModel, table=True):
    """Says which of our reason codes a helpdesk's code stands for."""

    __tablename__: ClassVar[Any] = "reason_codes"

    given: str = Field(primary_key=True)
    reason: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    by: str


class MergeRow(SQLModel, table=True):
    """Says that cluster `old` turned out to be `into`; chains are resolved, so one look is enough."""

    __tablename__: ClassVar[Any] = "merges"

    old: str = Field(primary_key=True)
    into: str = Field(index=True)  # no cluster that is itself merged into another
    at: datetime = Field(sa_column=Column(Instant, nullable=False))  # when `into` last became another
    by: str
