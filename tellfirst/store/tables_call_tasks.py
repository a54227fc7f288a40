"""The table of calls that a person makes; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


def _instant(*, nullable: bool = True, index: bool = False) -> Any:
    return Field(sa_column=Column(Instant, nullable=nullable, index=index))


class CallTaskRow(SQLModel, table=True):
    """Is one call that somebody of ours is to make; what to say is kept until it was said."""

    __tablename__: ClassVar[Any] = "call_tasks"

    send_id: str = Field(primary_key=True)
    customer_id: str = Field(foreign_key="customers.id", index=True)
    locale: str
    script: str
    asked_at: datetime = _instant(nullable=False)
    until: datetime = _instant(nullable=False)
    done_at: datetime | None = _instant(index=True)
    reached: bool | None = None
    by: str = ""
