"""The table of alternate channels; it never leaves this folder."""

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel


class AlternateRow(SQLModel, table=True):
    """Is one further channel of one recipient, known by the recipient's place in its revision."""

    __tablename__: ClassVar[Any] = "alternates"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("outreach_id", "revision", "position", "channel"),
        Index("alternates_page", "outreach_id", "revision", "page", "position"),
        Index("alternates_unpaged", "outreach_id", "revision", "channel", "position"),
    )

    id: int | None = Field(default=None, primary_key=True)
    outreach_id: str
    revision: int
    position: int
    rank: int  # how many channels stand before it
    channel: str
    locale: str
    page: int | None = None
    address_digest: str | None = None
    content_digest: str | None = None
    leaf: str | None = None  # of one whose customer was forgotten: all that is left of what was signed
