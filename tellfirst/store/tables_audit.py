"""The table of the audit log."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class AuditRow(SQLModel, table=True):
    """Is one entry of the audit log, never changed and never deleted; its hash covers all of it and the one before."""

    __tablename__: ClassVar[Any] = "audit"

    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
    kind: str
    about: str
    actor: str
    facts: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    document: str  # digest of the envelope, empty without one
    previous: str
    hash: str
