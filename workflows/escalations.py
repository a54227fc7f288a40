"""Escalations: what needs a person by a deadline, read from the state alone."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import get_args

from pydantic import BaseModel, Field

from tellfirst.contract import EscalationKind, EscalationView, Stage
from tellfirst.domain.plan import Rung

PRESSING: tuple[EscalationKind, ...] = get_args(EscalationKind)
"""The order in which people look at several at once: what holds everything first."""
ONLY_PEOPLE_END: frozenset[EscalationKind] = frozenset({"unknown_sends", "calls_waiting", "negative_reply", "raised"})
"""What ends when a person says that it is settled: nothing in the state tells when its cause is gone."""


class Escalation(BaseModel):
    """Is one thing that needs a person; there is at most one open for each `cause`."""

    cause: str
    kind: EscalationKind
    text: str
    opened_at: datetime
    revision: int = 0
    level: int = 0
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    ended_at: datetime | None = None
    kept: bool = False  # as it stands here it also stands in the database

    def next_at(self, rungs: Sequence[Rung]) -> datetime | None:
        """Returns when the next level is told; None when nobody is left, somebody is on it or it has ended."""
        if self.ended_at or self.acknowledged_at or self.level >= len(rungs):
            return None
        return self.opened_at + rungs[self.level].after

    def waiting_on(self, rungs: Sequence[Rung]) -> str:
        """Returns whom it waits for: who is on it, else whoever was told last."""
        if self.acknowledged_at:
            return self.acknowledged_by
        return rungs[min(max(self.level, 1), len(rungs)) - 1].to if rungs else ""

    def seen(self, rungs: Sequence[Rung]) -> EscalationView:
        """Returns how it stands, for people."""
        return EscalationView(
            kind=self.kind,
            text=self.text,
            opened_at=self.opened_at,
            level=self.level,
            levels=len(rungs),
            waiting_on=self.waiting_on(rungs),
            next_at=self.next_at(rungs),
            acknowledged_by=self.acknowledged_by,
            acknowledged_at=self.acknowledged_at,
        )


class Escalations(BaseModel):
    """Are those of one workflow; what has ended leaves it once it is kept."""

    all: list[Escalation] = Field(default_factory=list)

    @property
    def open(self) -> list[Escalation]:
        """Returns what still needs a person, the most pressing first."""
        return sorted((e for e in self.all if not e.ended_at), key=lambda e: (PRESSING.index(e.kind), e.opened_at))

    def escalate(self, cause: str, kind: EscalationKind, text: str, now: datetime, *, revision: int = 0) -> None:
        """Opens an escalation; one that is open for the same cause goes on, or begins anew if somebody was on it.

        The same words while somebody is on it change nothing: what they know already is not told again.
        """
        known = next((e for e in self.all if e.cause == cause and not e.ended_at), None)
        if known is not None and known.text == text:
            return
        if known is not None and not known.acknowledged_at:
            known.text, known.kept = text, False
            return
        if known is not None:
            known.ended_at, known.kept = now, False
        self.all.append(Escalation(cause=cause, kind=kind, text=text, opened_at=now, revision=revision))

    def acknowledge(self, by: str, now: datetime, *, done: bool = False) -> None:
        """Stops the climbing; with `done` it also ends what only people can end."""
        for one in self.open:
            one.kept = False
            if not one.acknowledged_at:
                one.acknowledged_by, one.acknowledged_at = by or "somebody", now
            if done and one.kind in ONLY_PEOPLE_END:
                one.ended_at = now

    def settle(self, over: Callable[[Escalation], bool], now: datetime) -> None:
        """Ends those whose cause is over, and lets go of what has ended and is kept."""
        for one in self.open:
            if over(one):
                one.ended_at, one.kept = now, False
        self.all = [one for one in self.all if not (one.ended_at and one.kept)]


def stage_of(escalations: Sequence[Escalation]) -> Stage:
    """Returns the stage for what is open: escalated above the first level, or as soon as somebody is on it."""
    if any(one.level > 1 or one.acknowledged_at for one in escalations):
        return Stage.ESCALATED
    late = all(one.kind == "overdue" for one in escalations)
    return Stage.APPROVAL_OVERDUE if late else Stage.NEEDS_ATTENTION


def standing(escalations: Sequence[Escalation], rungs: Callable[[Escalation], Sequence[Rung]]) -> str:
    """Returns in words how far the first of them has climbed, who is on it, and how many more there are."""
    first, levels = escalations[0], rungs(escalations[0])
    if first.acknowledged_at:
        words = f"Acknowledged by **{first.acknowledged_by}**, {first.acknowledged_at:%d %b %Y, %H:%M} UTC."
    else:
        words = f"Level {max(first.level, 1)} of {max(len(levels), 1)}: **{first.waiting_on(levels)}** was told."
        if (at := first.next_at(levels)) is not None and first.level:
            words += f" **{levels[first.level].to}** is told {at:%d %b %Y, %H:%M} UTC."
        words += " `tellfirst ack` says that you are on it."
    more = ", ".join(one.kind.replace("_", " ") for one in escalations[1:])
    return f"{words} Also: {more}." if more else words
