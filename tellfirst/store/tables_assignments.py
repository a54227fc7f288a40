"""The table of who was drawn into which arm, when, and from what."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


class AssignmentRow(SQLModel, table=True):
    """Is one draw, append-only: `unit` (an account cluster) is drawn once for a `scope` and epoch.

    A scope is an outreach, or all of them. The first draw stands, whatever holds later. `share` is what `u` was
    compared with, `chance` the probability of control with the hold-outs looked at before.
    """

    __tablename__: ClassVar[Any] = "assignments"

    scope: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)  # half-year of the global hold-out; an outreach is its own epoch
    u: float
    share: float
    chance: float
    arm: str
    held_by: str | None = None  # global or playbook, of control
    phase: int = 0  # how many phases later than others it is told, of how many, and how long one is
    phases: int = 1
    phase_seconds: int = 0
    t0: datetime = Field(sa_column=Column(Instant, nullable=False))
    salt_id: str
    eligibility: str  # digest of the page as it was approved: who stood on it, with what
    outreach_id: str  # the workflow that drew it
    revision: int
    playbook_version: str
    run: str
    code_version: str
