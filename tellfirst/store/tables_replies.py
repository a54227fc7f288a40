"""The tables of what customers write back, and of those whom nobody writes to until a person has looked."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class ReplyRow(SQLModel, table=True):
    """Is one reply, with the send that it seems to answer; its text goes when its time has come."""

    __tablename__: ClassVar[Any] = "replies"

    id: str = Field(primary_key=True)
    customer_id: str | None = Field(default=None, index=True)
    outreach_id: str | None = Field(default=None, index=True)
    send_id: str | None = None
    channel: str
    address: str = ""  # of a sender who is nobody's customer
    kind: str
    tone: str = ""
    text: str = Field(default="", sa_column=Column(Text, nullable=False))
    needs: str = ""  # why a person is to hear of it
    received_at: datetime = Field(sa_column=Column(Instant, nullable=False, index=True))


class HoldRow(SQLModel, table=True):
    """Says that nothing leaves to a customer, who may have opted out, until a person has looked."""

    __tablename__: ClassVar[Any] = "holds"

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(foreign_key="customers.id", index=True)
    reply_id: str
    since: datetime = Field(sa_column=Column(Instant, nullable=False))
    ended_at: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))
    ended_by: str = ""
