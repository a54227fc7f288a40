"""The table of what may leave on a channel in a second; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class RateRow(SQLModel, table=True):
    """Is the pace of one channel, for all processes together: when its next unit is free, and who waits for it."""

    __tablename__: ClassVar[Any] = "rates"

    channel: str = Field(primary_key=True)
    per_second: float | None = None  # what people set; none: as the settings have it, 0: no limit
    by: str = ""
    at: datetime | None = Field(default=None, sa_column=Column(Instant))
    free_at: datetime | None = Field(default=None, sa_column=Column(Instant))
    urgent_at: datetime | None = Field(default=None, sa_column=Column(Instant))  # when an urgent one last waited
