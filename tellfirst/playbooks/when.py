"""`[when]`: at which hours a playbook's messages leave."""

from typing import Literal, Self

from pydantic import model_validator

from tellfirst.domain.base import Outside
from tellfirst.policy.quiet import Hours, Timing, outside

WAKES = frozenset({"security", "fraud", "safety"})
"""Categories that the customer's own quiet hours do not hold back either, where quiet hours are ignored."""


class When(Outside):
    """Says whether quiet and business hours are kept, and at which hours of its customers its messages wait besides."""

    quiet_hours: Literal["keep", "ignore"] = "keep"
    low_engagement: tuple[Hours, ...] = ()

    @model_validator(mode="after")
    def _leaves_some_time(self) -> Self:
        if self.low_engagement and self.quiet_hours == "ignore":
            raise ValueError("what does not wait for the morning does not wait for better hours: drop low_engagement")
        if self.low_engagement and not outside([span for hours in self.low_engagement for span in hours.spans()]):
            raise ValueError("low_engagement leaves no hour of the week")
        return self

    def timing(self, category: str) -> Timing:
        """Returns what a playbook of this category holds back for, and what it does not wait for."""
        ignores = self.quiet_hours == "ignore"
        return Timing(
            low_engagement=self.low_engagement,
            ignores_hours=ignores,
            ignores_customer=ignores and category in WAKES,
        )
