"""The boundaries of exceptions: how much each role may grant, what may be spent, what the customer is answered."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tellfirst.domain.base import Outside
from tellfirst.domain.message import Channel
from tellfirst.playbooks.types import Duration, Person, TemplateName, Text

ExceptionKind = Literal["goodwill_credit", "refund", "expedited_shipping", "fee_reversal", "plan_change"]
Amount = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""An amount of money in the currency's minor unit: 1250 are 12.50 EUR."""


class Limit(Outside):
    """Is what a person of one role may grant: `alone`, and `with_second` when another person signs too."""

    alone: Amount
    with_second: Amount

    @model_validator(mode="after")
    def _second_reaches_further(self) -> Self:
        if self.with_second < self.alone:
            raise ValueError("with_second is at least as much as alone")
        return self


class AnswerText(Outside):
    """Is what a customer is told when the exception is granted, on one channel in one locale; each is Liquid.

    `template` names the words where the provider keeps them (WhatsApp).
    """

    template: TemplateName | None = None
    subject: Text | None = None
    body: Text


class Boundary(Outside):
    """Bounds one kind of exception.

    `per_customer` is what all requests of one customer may come to in a calendar year, `per_outreach` what those of
    all customers of one outreach may. Durations count from the request; a grant `holds` from then on for so long, which
    is how long its execution is tried.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_customer: Annotated[Amount, Field(ge=1)]
    per_outreach: Annotated[Amount, Field(ge=1)]
    remind_after: Duration = timedelta(hours=2)
    escalate_after: Duration = timedelta(hours=8)
    expires_after: Duration = timedelta(days=2)
    holds: Duration = timedelta(days=9)
    roles: dict[Person, Limit] = Field(min_length=1)
    answers: dict[Channel, dict[str, AnswerText]]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not timedelta(0) < self.remind_after <= self.escalate_after <= self.expires_after < self.holds:
            raise ValueError("an exception needs 0 < remind_after <= escalate_after <= expires_after < holds")
        return self

    @property
    def most(self) -> int:
        """Returns the most that anybody may grant, in minor units."""
        return max(limit.with_second for limit in self.roles.values())
