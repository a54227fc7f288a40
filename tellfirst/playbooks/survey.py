"""The survey: one question to both arms once their windows are over, in words that the library lets go live."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tellfirst.domain.base import Outside
from tellfirst.domain.message import Channel
from tellfirst.domain.survey import SurveyKind
from tellfirst.playbooks.boundaries import AnswerText
from tellfirst.playbooks.types import Duration, Text

SurveyChannel = Literal["sms", "whatsapp", "email", "push", "in_app"]
"""Channels on which a question can be answered: a link is followed there, or a digit sent back."""


class SurveyText(AnswerText):
    """Is what is asked on one channel in one locale; `out` tells the way out, and stands behind the question."""

    out: Text | None = None

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Returns what is read, in its order."""
        return (self.body,) if self.out is None else (self.body, self.out)


class Survey(Outside):
    """Says who is asked how it was, when and in which words.

    `kind` is what the digits 1 to 5 mean: `csat` how satisfied, `ces` how easy it was, 5 being best in both. `share` of
    the clusters of each arm are asked, `after` their own window's end, and none `expires` later. `purpose` is whose
    consent it takes: where the law takes such a question for advertising that is `marketing`. With `sensitive` those
    are asked too of whom security, fraud, safety, recall or law was the matter.
    """

    kind: SurveyKind
    share: Annotated[float, Field(gt=0, le=1)]
    after: Duration = timedelta(days=1)
    expires: Duration = timedelta(days=7)
    purpose: Literal["transactional", "service", "marketing"] = "service"
    sensitive: bool = False
    channels: tuple[SurveyChannel, ...] = Field(min_length=1)
    messages: dict[Channel, dict[str, SurveyText]]

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.after < timedelta(0) or self.expires <= timedelta(0):
            raise ValueError("a survey needs after >= 0 and expires > 0")
        return self
