"""What a rule answers: send, not this one, not at this hour, or nothing of this outreach at all."""

from datetime import datetime
from typing import Literal

from tellfirst.domain.base import Frozen

TOLD_BEFORE = "told_before"
"""Why a message does not go by a further channel: the one before brought it after all, or was answered with a no."""


class Verdict(Frozen):
    """Is the gate's answer for one message, always with a reason unless it may leave.

    `withhold` ends this send; `defer` has it wait until an hour; `halt` stops the whole page and changes no row,
    because what is wrong is not the row.
    """

    kind: Literal["allow", "withhold", "defer", "halt"]
    reason: str = ""
    until: datetime | None = None


ALLOW = Verdict(kind="allow")


def withhold(reason: str) -> Verdict:
    """Returns a verdict that ends this send."""
    return Verdict(kind="withhold", reason=reason)


def defer(until: datetime) -> Verdict:
    """Returns a verdict that has this send wait for its hour."""
    return Verdict(kind="defer", reason="quiet_hours", until=until)


def halt(reason: str) -> Verdict:
    """Returns a verdict that stops the page and leaves its rows as they are."""
    return Verdict(kind="halt", reason=reason)


class Consent(Frozen):
    """Is one recorded statement; `*` stands for every channel or purpose."""

    channel: str
    purpose: str
    allowed: bool
    at: datetime
