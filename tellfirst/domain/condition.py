"""A condition: something detected in operational data that customers will feel, with the customers it affects."""

import re
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from tellfirst.domain.base import Outside

INLINE_LIMIT = 1_000
ADMITTED = "admitted"
"""The reserved audience query: the subjects a detector admitted to this condition."""

FactValue = str | int | bool | None
Facts = dict[str, FactValue]

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
# It stands in ids, and so in logs and in Temporal's UI: nothing that a terminal obeys or that nobody sees.
Key = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s/\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]{1,200}$"),
]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=200)]

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+\d[\d\s().-]{6,18}\d")


def personal_pattern(text: str) -> str | None:
    """Names the kind of address that `text` contains, or None.

    Ids and keys stand in plain text in the history, in the Temporal UI and in logs, so they may hold neither.
    """
    if _EMAIL.search(text):
        return "an e-mail address"
    if _PHONE.search(text):
        return "a phone number"
    return None


class Subject(Outside):
    """Is one affected thing (an order, an invoice) and the customer it belongs to."""

    key: Ref
    customer: Ref
    facts: Facts = Field(default_factory=dict)


class Audience(Outside):
    """Names an audience query of the playbook, so that a large audience never passes through a payload."""

    query: Word
    parameters: Facts = Field(default_factory=dict)


class Condition(Outside):
    """Is what a starter sends: (trigger, key, episode) is its identity; subjects inline or an audience query.

    `proposer` is the person who asks for it, if one does: they do not count among those who approve it.
    """

    trigger: Word
    key: Key
    episode: int = Field(default=1, ge=1)
    detected_at: AwareDatetime
    facts: Facts = Field(default_factory=dict)
    subjects: tuple[Subject, ...] = Field(default=(), max_length=INLINE_LIMIT)
    audience: Audience | None = None
    proposer: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9._-]{0,63})?$")] = ""

    @model_validator(mode="after")
    def _one_audience(self) -> Self:
        if bool(self.subjects) == (self.audience is not None):
            raise ValueError("give either subjects or an audience query, and not both")
        return self
