"""Frequency cap: how many outreaches one customer may be part of in a rolling period."""

from datetime import timedelta
from typing import Literal, get_args

from tellfirst.domain.base import Frozen

Urgency = Literal["normal", "high", "urgent"]
CLASSES: tuple[Urgency, ...] = get_args(Urgency)


class FrequencyCap(Frozen):
    """Allows at most `count` outreaches in any `period`; a held place covers all promised steps of its outreach."""

    count: int
    period: timedelta

    def has_room(self, held: int) -> bool:
        """Returns whether one more outreach fits beside `held` places in the period."""
        return held < self.count


def counted_against(urgency: Urgency) -> tuple[Urgency, ...]:
    """Returns whose places an outreach counts: those of its own class and of more urgent ones.

    So nothing urgent is ever kept from a customer because of what could have waited.
    """
    return CLASSES[CLASSES.index(urgency) :]
