"""The tables of surveys: whom we asked after their window, and what they answered."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class SurveyedRow(SQLModel, table=True):
    """Says that the survey of a closed outreach has begun, or that there is none (`kind` is empty)."""

    __tablename__: ClassVar[Any] = "surveyed"

    outreach_id: str = Field(primary_key=True)
    kind: str = ""
    at: datetime = Field(sa_column=Column(Instant, nullable=False))


class SurveyRow(SQLModel, table=True):
    """Is one recipient, of either arm, who was drawn to be asked; `reason` says why they were not."""

    __tablename__: ClassVar[Any] = "surveys"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("outreach_id", "customer_id"),
        Index("surveys_customer", "customer_id", "drawn_at"),
        Index("surveys_page", "outreach_id", "page"),
    )

    id: int | None = Field(default=None, primary_key=True)
    outreach_id: str
    recipient_id: int = Field(foreign_key="recipients.id", unique=True)
    customer_id: str
    kind: str
    reason: str = ""
    revision: int
    page: int | None = None
    channel: str | None = None
    locale: str | None = None
    send_id: str | None = Field(default=None, unique=True)
    drawn_at: datetime = Field(sa_column=Column(Instant, nullable=False))
    not_after: datetime = Field(sa_column=Column(Instant, nullable=False))


class SurveyAnswerRow(SQLModel, table=True):
    """Is one answer, append-only: of each question the last one holds."""

    __tablename__: ClassVar[Any] = "survey_answers"

    id: int | None = Field(default=None, primary_key=True)
    survey_id: int = Field(foreign_key="surveys.id", index=True)
    customer_id: str = Field(index=True)
    score: int | None = None
    felt: str = ""  # welcome or intrusive, from those who were told
    by: str
    at: datetime = Field(sa_column=Column(Instant, nullable=False))
