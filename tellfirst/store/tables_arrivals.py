"""The tables of what other systems post: work that waits behind its acknowledgement, and events as they happened."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class ArrivalRow(SQLModel, table=True):
    """Is one post that was acknowledged and is then worked off; nothing but its key stays once that is done."""

    __tablename__: ClassVar[Any] = "arrivals"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("source", "key"),
        Index("arrivals_waiting", "source", "done_at", "next_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    source: str  # whose work it is
    key: str  # the same for the same post, however often it comes
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    next_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    done_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))
    attempts: int = 0
    error: str = ""


class EventRow(SQLModel, table=True):
    """Is one operational or product event, as another system told it."""

    __tablename__: ClassVar[Any] = "events"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("source", "event_id"),
        Index("events_type", "type", "occurred_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    source: str
    event_id: str
    type: str
    subject: str = ""
    customer_id: str | None = Field(default=None, index=True)
    occurred_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
