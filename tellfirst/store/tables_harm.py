"""The table of harm: which rule of an outreach was crossed, by what figure, and what people let it go on with."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class HarmEventRow(SQLModel, table=True):
    """Is one crossing of one rule of an outreach; `accepted` is the figure when a person had let it go on."""

    __tablename__: ClassVar[Any] = "harm_events"

    outreach_id: str = Field(primary_key=True)
    rule: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    figure: float
    bound: float
    limit: float
    words: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False, index=True))
    accepted: float | None = None
    accepted_at: datetime | None = Field(default=None, sa_column=Column(Instant, nullable=True))
