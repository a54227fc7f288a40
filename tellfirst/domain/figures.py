"""What is counted when windows close: figures of one arm, enough for every estimate, and of nobody in particular."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Arm, Grade


class Sums(Frozen):
    """Is one arm as sums over its `n` clusters: `y` in the window, `x` in the time as long before t0.

    One pair per cluster, its members added up; so the error holds however alike the members of a cluster are.
    """

    n: int
    y: float
    yy: float
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(cls, clusters: Iterable[tuple[float, float]]) -> Self:
        """Returns the sums of (y, x) per cluster."""
        n = 0
        y = yy = x = xx = xy = 0.0
        for after, before in clusters:
            n += 1
            y += after
            yy += after * after
            x += before
            xx += before * before
            xy += after * before
        return cls(n=n, y=y, yy=yy, x=x, xx=xx, xy=xy)


EMPTY = Sums(n=0, y=0.0, yy=0.0)


class ArmFigures(Frozen):
    """Is one arm of one outreach, as far as it was drawn with one hold-out share (0 to 1).

    All by cluster and in its own window; `contacted` is of how many somebody contacted about the reason, `elsewhere`
    about another one, `anyhow` about anything, `repeated` twice or more about the reason. `contacts` and `all_contacts`
    count contacts per cluster, `seconds` the handle time of all of them: those without one, `untimed` of them in the
    window, are taken to have been as long as the others of their reason are on average. Of contacts about the reason
    `resolved` were, in `resolution`, seconds each. `crossed` clusters were found to be one account with a cluster of
    the other arm.
    """

    arm: Arm
    share: float = Field(ge=0, le=1)
    clusters: int = Field(ge=0)
    contacted: int = Field(ge=0)
    elsewhere: int = Field(default=0, ge=0)
    anyhow: int = Field(default=0, ge=0)
    repeated: int = Field(default=0, ge=0)
    opted_out: int = Field(default=0, ge=0)
    crossed: int = Field(default=0, ge=0)
    contacts: Sums = EMPTY
    all_contacts: Sums = EMPTY
    seconds: Sums = EMPTY
    untimed: int = Field(default=0, ge=0)
    resolved: int = Field(default=0, ge=0)
    resolution: Sums = EMPTY


class OutreachFigures(Frozen):
    """Is what was counted for one outreach, by arm and hold-out share; empty where nobody was drawn."""

    outreach: str
    trigger: str
    reason_code: str
    figures: tuple[ArmFigures, ...]


class OutcomeRecord(OutreachFigures):
    """Is the latest version of the outcome of one outreach, with what was counted for it.

    `first_t0` and `last_t0` say when its accounts were drawn; without `counted` its contacts never arrived, or its
    split is broken, and nothing may be said of who contacted.
    """

    version: int
    grade: Grade
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    sentence: str
    recorded_at: datetime
    first_t0: datetime | None
    last_t0: datetime | None
    counted: bool = True
