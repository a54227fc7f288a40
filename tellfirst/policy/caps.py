"""Frequency cap: how many outreaches one customer may be part of in a rolling period."""

from datetime import timedelta

from tellfirst.domain.base import Frozen


class FrequencyCap(Frozen):
    """Allows at most `count` outreaches in any `period`; a held place covers all promised steps of its outreach."""

    count: int
    period: timedelta

    def has_room(self, held: int) -> bool:
        """Returns whether one more outreach fits beside `held` places in the period."""
        return held < self.count
