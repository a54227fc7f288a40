"""What is counted beside the main figure of an outreach: counts and money, of nobody in particular."""

from typing import Literal

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import EMPTY, Sums
from tellfirst.domain.outcome import Arm

AccountEvent = Literal["retained", "churned", "expanded", "contracted"]
"""What became of an account, as the system that bills it says."""
Engagement = Literal["opened", "machine", "clicked"]
"""What a receipt says of reading: somebody opened it, what is or may be a machine did, or a link was followed."""


class ChannelCount(Frozen):
    """Is one channel: messages accepted and not reported lost, and how many of them were opened or clicked, each once.

    `machine` were opened by nobody else than what is, or may be, a machine that fetches images for its user.
    """

    channel: str
    sent: int = Field(ge=0)
    opened: int = Field(default=0, ge=0)
    machine: int = Field(default=0, ge=0)
    clicked: int = Field(default=0, ge=0)


class SettledCount(Frozen):
    """Is one arm and hold-out share: its clusters, and those for whom it was over in the window without a contact."""

    arm: Arm
    share: float
    clusters: int = Field(ge=0)
    settled: int = Field(ge=0)


class AccountCount(Frozen):
    """Is what became of one arm's accounts within `days` after t0, as far as events are known for all those days.

    `accounts` is of how many that holds, `events` how many of them had each event, `value` their change of value in
    minor units: expanded less contracted and churned.
    """

    arm: Arm
    share: float
    days: int
    accounts: int = Field(ge=0)
    events: dict[AccountEvent, int] = Field(default_factory=dict)
    value: Sums = EMPTY


class BesideCounts(Frozen):
    """Is everything beside the figures of one outreach.

    `tones` counts replies by tone. `replied` contacts about the reason, of told clusters in their windows, were
    replies. `message_micros` is what its messages came to at most, in millionths of `currency`, None where no price is
    known; `approvals` how many decisions people made on it.
    """

    outreach: str
    channels: tuple[ChannelCount, ...] = ()
    tones: dict[str, int] = Field(default_factory=dict)
    replied: int = 0
    settled: tuple[SettledCount, ...] = ()
    message_micros: int | None = None
    currency: str = ""
    approvals: int = 0
    accounts: tuple[AccountCount, ...] = ()
