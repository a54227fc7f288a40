"""The table of what was taken of standing permits."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class PermitUseRow(SQLModel, table=True):
    """Is what one revision took of a permit: once, whole, and never given back; or why it took nothing."""

    __tablename__: ClassVar[Any] = "permit_uses"

    outreach_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True)
    permit: str = Field(index=True)
    recipients: int
    cost_micros: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: str  # of the proposal that it covers
    reason: str = ""  # why the revision waits for people all the same
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
