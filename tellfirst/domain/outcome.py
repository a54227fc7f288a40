"""The recorded result of an outreach: both arms, their difference, and how far it may be trusted."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tellfirst.domain.base import Frozen

Arm = Literal["treated", "control"]
Grade = Literal["A", "B", "X", "C", "D", "E"]
Share = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=-1, le=1)]


class ArmOutcome(Frozen):
    """Is one arm: clusters (accounts) randomised into it, how many of them contacted, and the share, 0 to 1.

    `rate` is None where it would mislead: no clusters, a broken split, or contacts that never arrived.
    """

    arm: Arm
    clusters: int = Field(ge=0)
    contacted: int = Field(ge=0)
    rate: Share | None

    @model_validator(mode="after")
    def _contacted_are_some_of_them(self) -> Self:
        if self.contacted > self.clusters:
            raise ValueError("more clusters contacted than there are in the arm")
        return self


class Outcome(Frozen):
    """Is what an outreach achieved.

    `difference` is treated minus control as a fraction (negative: fewer contacted), with its 95 % interval; the three
    are None where the grade withholds them (X, E). `sentence` says it in words that hold.
    """

    reason_code: str
    arms: tuple[ArmOutcome, ...]
    difference: Change | None
    ci_low: Change | None
    ci_high: Change | None
    grade: Grade
    sentence: str
