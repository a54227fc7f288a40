"""The table of how far personal data has been removed for its age; it never leaves this folder."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class RetentionRow(SQLModel, table=True):
    """Is how far one kind of rows, or one outreach that is not done yet, has been emptied."""

    __tablename__: ClassVar[Any] = "retention"

    what: str = Field(primary_key=True)
    revision: int = 0
    place: int = -1  # the last position, or the last id, that is done
    through: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))  # who ended before it
