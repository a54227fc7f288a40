"""The table of what customers told us about how they want to be reached; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class PreferenceRow(SQLModel, table=True):
    """Is what one customer chose themselves; it counts before whatever an import says, and no import replaces it."""

    __tablename__: ClassVar[Any] = "preferences"

    customer_id: str = Field(primary_key=True, foreign_key="customers.id")
    channel: str | None = None
    locale: str | None = None
    timezone: str | None = None
    quiet_from: int | None = None  # minutes after midnight, local
    quiet_to: int | None = None
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
