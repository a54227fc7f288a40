"""What `show` says of whoever was told: escalations with their levels, notices, and what was not delivered."""

from collections.abc import Iterator, Sequence

from pydantic import AwareDatetime

from tellfirst.cli.output import when
from tellfirst.cli.wiring import Installation
from tellfirst.domain.base import Frozen
from tellfirst.store.escalations import EscalationRecord


class Told(Frozen):
    """Is one notice; `undelivered` names the ways that have not brought it, with what their last attempt said."""

    kind: str
    level: int
    to: str
    text: str
    at: AwareDatetime
    undelivered: tuple[str, ...] = ()


def notices_of(here: Installation, about: str) -> tuple[Told, ...]:
    """Returns what people were told about an outreach, in order."""
    deliveries = here.notices.deliveries(about)
    return tuple(
        Told(
            kind=notice.kind,
            level=notice.level,
            to=notice.to,
            text=notice.text,
            at=notice.at,
            undelivered=tuple(
                f"{one.way} ({one.detail or 'not tried yet'})"
                for one in deliveries.get(notice.id, ())
                if one.delivered_at is None
            ),
        )
        for notice in here.notices.of(about)
    )


def escalation_lines(escalations: Sequence[EscalationRecord]) -> Iterator[tuple[str, str]]:
    """Yields a line for each escalation, those that are open first."""
    for one in sorted(escalations, key=lambda one: one.ended_at is not None):
        on_it = f"acknowledged by {one.acknowledged_by}, {when(one.acknowledged_at)}" if one.acknowledged_at else ""
        climbed = f"level {one.level} of {one.levels}, {on_it or one.waiting_on}" if one.levels else "nobody to tell"
        ended = f"; ended {when(one.ended_at)}" if one.ended_at else ""
        yield "escalation", f"since {when(one.opened_at)}: {one.text} ({climbed}{ended})"


def notice_lines(notices: Sequence[Told]) -> Iterator[tuple[str, str]]:
    """Yields a line for each notice."""
    for told in notices:
        lost = f"; NOT DELIVERED by {', '.join(told.undelivered)}" if told.undelivered else ""
        yield "notice", f"{when(told.at)} to {told.to}: {told.text}{lost}"
