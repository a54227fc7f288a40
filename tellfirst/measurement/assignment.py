"""Who is held out: a hash instead of a die, so that a retry or an audit draws the same arm."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Arm

SEPARATOR = "|"
EVERYWHERE = "global"
"""The scope of the hold-out that all outreaches share; every other scope is the id of an outreach."""

HeldBy = Literal["global", "playbook"]


class Holdouts(Frozen):
    """Says what an outreach holds back: shares (0 to below 1) of `everywhere`, looked at first, and of its `own`.

    With more than one of `phases`, a `phase` apart, those who are told are told in one that chance chooses. With
    `everyone` nobody is left untold, whatever was drawn before.
    """

    own: float = Field(default=0.0, ge=0, lt=1)
    everywhere: float = Field(default=0.0, ge=0, lt=1)
    phases: int = Field(default=1, ge=1)
    phase: timedelta = timedelta(0)
    everyone: bool = False

    @property
    def chance(self) -> float:
        """Returns the probability of control, 0 to below 1."""
        return either(self.everywhere, self.own)


class Draw(Frozen):
    """Is what one cluster drew: the number, the share it was compared with, the arm, and how many phases later.

    `chance` is the probability of control over every hold-out that was looked at, `held_by` the one that held it out.
    """

    u: float
    share: float
    chance: float
    arm: Arm
    held_by: HeldBy | None = None
    phase: int = 0


def either(everywhere: float, own: float) -> float:
    """Returns the probability of being held out by one of two hold-outs that are drawn independently."""
    return everywhere + (1 - everywhere) * own


def half_year(at: datetime) -> str:
    """Returns the epoch of the hold-out that all outreaches share, such as `2026H2` (UTC): each draws afresh."""
    at = at.astimezone(UTC)
    return f"{at.year}H{1 if at.month <= 6 else 2}"


def draw_everywhere(salt: str, epoch: str, unit: str, share: float) -> Draw:
    """Returns what a cluster draws for all outreaches of an epoch."""
    u = draw(salt, f"{EVERYWHERE}/{epoch}", unit)
    drawn = arm(u, share)
    return Draw(u=u, share=share, chance=share, arm=drawn, held_by="global" if drawn == "control" else None)


def draw_in(salt: str, outreach: str, unit: str, by: Holdouts, everywhere: Draw | None = None) -> Draw:
    """Returns what a cluster draws in one outreach, after what it drew for all of them."""
    u = draw(salt, outreach, unit)
    chance = by.own if everywhere is None else either(everywhere.share, by.own)
    if everywhere is not None and everywhere.arm == "control":
        return Draw(u=u, share=by.own, chance=chance, arm="control", held_by="global")
    if arm(u, by.own) == "control":
        return Draw(u=u, share=by.own, chance=chance, arm="control", held_by="playbook")
    return Draw(u=u, share=by.own, chance=chance, arm="treated", phase=int(u * by.phases))


def uniform(text: str) -> float:
    """Returns a number from 0 to 1 that `text` determines: the first 64 bits of its SHA-256, big-endian, over 2^64."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def draw(salt: str, epoch: str, unit: str) -> float:
    """Returns the draw of `unit` (an account cluster), 0 to 1: `uniform` of `salt|epoch|unit`.

    One salt per purpose keeps experiments independent, and a new epoch draws afresh. The separator stands twice;
    a text with one separator, such as `holdout-v1|cust-1`, is another text and draws another number. Raises
    ValueError for a salt or epoch with the separator in it: two experiments could then share their draws.
    """
    if SEPARATOR in salt or SEPARATOR in epoch:
        raise ValueError(f"salt and epoch are written without '{SEPARATOR}'")
    return uniform(SEPARATOR.join((salt, epoch, unit)))


def arm(draw: float, holdout: float) -> Arm:
    """Returns `control` when `draw` (0 to 1) lies below `holdout`, a share from 0 to below 1; else `treated`.

    A larger hold-out therefore keeps everybody who was in a smaller one. Raises ValueError outside these ranges.
    """
    if not 0 <= draw <= 1:
        raise ValueError("a draw lies from 0 to 1")
    if not 0 <= holdout < 1:
        raise ValueError("a hold-out share lies from 0 to below 1")
    return "control" if draw < holdout else "treated"
