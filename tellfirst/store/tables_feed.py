"""The tables of the feed: which systems are told what happens, and each event on its way to one of them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant

WAITING = "waiting"
_WHERE: dict[str, Any] = {name: text(f"state = '{WAITING}'") for name in ("sqlite_where", "postgresql_where")}


class FeedEndpointRow(SQLModel, table=True):
    """Is one system that is told; what happens while it is here is kept for it."""

    __tablename__: ClassVar[Any] = "feed_endpoints"

    name: str = Field(primary_key=True)
    types: list[str] = Field(sa_column=Column(JSON, nullable=False))
    since: datetime = Field(sa_column=Column(Instant, nullable=False))


class FeedEventRow(SQLModel, table=True):
    """Is one event for one system: waiting, delivered or parked, each by its own mark."""

    __tablename__: ClassVar[Any] = "feed_events"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("endpoint", "event_id"),
        Index("feed_events_waiting", "endpoint", "id", **_WHERE),
        Index("feed_events_lane", "endpoint", "customer_id", "id", **_WHERE),
        Index("feed_events_settled", "endpoint", "state", "settled_at"),
        Index("feed_events_customer", "customer_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    endpoint: str
    event_id: str  # the webhook-id: the same for every attempt
    type: str
    outreach_id: str
    customer_id: str  # empty for what is about no one customer
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    state: str = WAITING
    attempts: int = 0
    refused: bool = False  # the receiver is well and does not want this one: others need not wait for it
    detail: str = ""  # what the last attempt said
    failing_since: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))
    next_at: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))  # at once, where empty
    settled_at: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))
