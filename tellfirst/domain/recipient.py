"""A recipient: one customer of a frozen audience, with what the message needs and nothing else."""

from pydantic import AwareDatetime, Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts
from tellfirst.domain.message import Channel
from tellfirst.domain.plan import PageSpan, RevisionStatus

ELIGIBLE = "eligible"


class Alternate(Frozen):
    """Is one further channel by which a recipient may be told, should the ones before it fail."""

    channel: Channel
    locale: str
    address_digest: str


class Candidate(Frozen):
    """Is one affected subject with the verdict on its customer: `eligible`, or why they will not be written to."""

    subject_key: str
    customer: str
    cluster: str
    verdict: str
    channel: Channel | None = None
    locale: str | None = None
    timezone: str | None = None
    address_digest: str | None = None
    facts: Facts = Field(default_factory=dict)
    promises: dict[str, AwareDatetime] = Field(default_factory=dict)
    alternates: tuple[Alternate, ...] = ()


class Recipient(Frozen):
    """Is one row of a page; `others` counts further affected things of the same customer told in the same message.

    `leaf` is what is left of a customer who was forgotten; nothing may leave to such a row. `rank` is 0 on the channel
    of choice; an alternate is a row of its own, with `rank` channels before it. `promises` are the instants promised to
    them in place of the plan's, by step.
    """

    id: int
    position: int
    customer: str
    subject_key: str
    channel: Channel
    locale: str
    timezone: str | None
    facts: Facts
    others: int
    address_digest: str
    content_digest: str
    leaf: str = ""
    verdict: str = ELIGIBLE
    cleared_at: AwareDatetime | None = None
    rank: int = 0
    promises: dict[str, AwareDatetime] = Field(default_factory=dict)


class Wave(Frozen):
    """Is what the waves of a revision came to so far, in counts.

    `waiting` are those whose slot has not come, at `next_at` at the earliest; `drawn` are the pages on which the latest
    wave drew somebody to be told.
    """

    treated: int = 0
    control: int = 0
    withheld: int = 0
    waiting: int = 0
    next_at: AwareDatetime | None = None
    drawn: tuple[PageSpan, ...] = ()


class OnRecord(Frozen):
    """Is how far a revision had come under a workflow that is gone, as our own database tells it.

    `begun` are the steps that the effect log knows something of, `t0` when its last wave was drawn.
    """

    status: RevisionStatus = "pending"
    paused: bool = False
    wave: Wave | None = None
    t0: AwareDatetime | None = None
    begun: tuple[str, ...] = ()
