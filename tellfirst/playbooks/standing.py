"""What a playbook says about being permitted in advance: by whom, for how many, and for how long."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from tellfirst.domain.base import Outside
from tellfirst.playbooks.types import Duration, Person


class Standing(Outside):
    """Lets `approvers`, the roles one level up, permit outreaches in advance, for when there is no time to ask.

    A permit covers at most `per_outreach` recipients of one outreach and `in_all` of all, and no longer than `longest`.
    """

    approvers: tuple[Person, ...] = Field(min_length=1)
    per_outreach: int = Field(ge=1)
    in_all: int = Field(ge=1)
    longest: Duration = Field(gt=timedelta(0))

    @model_validator(mode="after")
    def _one_is_not_more_than_all(self) -> Self:
        if self.per_outreach > self.in_all:
            raise ValueError("a permit's per_outreach is not more than its in_all")
        return self
