"""The tables of escalations: what needs a person, who was told of it, and whether that reached them."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class EscalationRow(SQLModel, table=True):
    """Is one escalation as it stands: how far it has climbed, who is on it, and whether its cause has ended."""

    __tablename__: ClassVar[Any] = "escalations"

    id: str = Field(primary_key=True)
    about: str = Field(index=True)
    kind: str
    text: str
    level: int
    levels: int
    waiting_on: str
    opened_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))
    ended_at: datetime | None = Field(sa_column=Column(Instant, nullable=True, index=True))


class NoticeRow(SQLModel, table=True):
    """Is something people were told: a reminder, or one level of an escalation."""

    __tablename__: ClassVar[Any] = "notices"

    id: str = Field(primary_key=True)
    outreach_id: str = Field(index=True)
    kind: str
    to: str
    text: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    level: int
    deadline: datetime | None = Field(sa_column=Column(Instant, nullable=True))


class DeliveryRow(SQLModel, table=True):
    """Is one notice by one way: delivered, or what its last attempt said."""

    __tablename__: ClassVar[Any] = "notice_deliveries"

    notice_id: str = Field(primary_key=True)
    way: str = Field(primary_key=True)
    attempts: int = 0
    detail: str = ""
    delivered_at: datetime | None = Field(sa_column=Column(Instant, nullable=True))
