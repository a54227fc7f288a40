"""A survey in figures: who was asked and answered, by arm."""

from typing import Literal, get_args

from pydantic import AwareDatetime, Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import EMPTY, Sums
from tellfirst.domain.outcome import Arm

SurveyKind = Literal["csat", "ces"]
Felt = Literal["welcome", "intrusive"]
"""What those who were told say of it."""
FEELINGS: tuple[Felt, ...] = get_args(Felt)
SCORES = range(1, 6)
"""What a score may be; 5 is best, whatever was asked."""


class SurveyFigures(Frozen):
    """Is what came of the survey of one outreach in one arm, as far as it was drawn with one hold-out share (0 to 1).

    All by cluster: `drawn` to be asked, of them `asked` by a message that was accepted, of them `answered`. `scores`
    hold y = the mean of the scores (1 to 5) of a cluster's members. Of clusters that said how the outreach was,
    `welcome` are those where everybody found it so, `intrusive` the others.
    """

    outreach: str
    trigger: str
    reason_code: str
    kind: SurveyKind
    arm: Arm
    share: float = Field(ge=0, le=1)
    drawn: int = Field(ge=0)
    asked: int = Field(ge=0)
    answered: int = Field(ge=0)
    scores: Sums = EMPTY
    welcome: int = Field(default=0, ge=0)
    intrusive: int = Field(default=0, ge=0)
    closed_at: AwareDatetime
