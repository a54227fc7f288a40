"""The table of the in-app inbox; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


def _instant(*, nullable: bool = True, index: bool = False) -> Any:
    return Field(sa_column=Column(Instant, nullable=nullable, index=index))


class InboxRow(SQLModel, table=True):
    """Is one message in a customer's inbox, word for word, and what they did with it."""

    __tablename__: ClassVar[Any] = "inbox_items"
    __table_args__: ClassVar[Any] = (Index("inbox_items_customer", "customer_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    send_id: str = Field(unique=True)
    customer_id: str = Field(foreign_key="customers.id")
    subject: str
    body: str
    locale: str
    created_at: datetime = _instant(nullable=False)
    expires_at: datetime = _instant(nullable=False, index=True)
    seen_at: datetime | None = _instant()
    read_at: datetime | None = _instant()
    clicked_at: datetime | None = _instant()
    archived_at: datetime | None = _instant()
