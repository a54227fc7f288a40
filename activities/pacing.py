"""Pacing: how many messages of a channel leave together, and when it is their turn."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tellfirst.domain.message import Rendered
from tellfirst.playbooks.gsm import segments
from tellfirst.store.rates import Rates

T = TypeVar("T")
FREE_FOR = timedelta(seconds=0.5)
"""How long a channel without a pace is taken to have none: who sets one is heard as soon as who waits looks."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Pace:
    """Spreads what leaves evenly over time, for all pages that all processes send on a channel.

    Counted are the segments of texts and, elsewhere, messages. `now` and `rest` (seconds) are the clock and the sleep:
    providers keep real time.
    """

    def __init__(
        self,
        rates: Rates,
        *,
        now: Callable[[], datetime] = _utc_now,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates, self._now, self.rest = rates, now, rest
        self._free_at: dict[str, datetime] = {}  # when a channel was found to have no pace

    def fit(self, channel: str, batch: Sequence[T], text: Callable[[T], Rendered | None]) -> tuple[list[T], int]:
        """Returns how much of a batch leaves together and its units: one second's worth at most, and always one.

        Where a channel has no pace all of it leaves, and its units are none.
        """
        now = self._now()
        if channel in self._free_at and timedelta() <= now - self._free_at[channel] < FREE_FOR:
            return list(batch), 0
        rate = self._rates.of(channel).per_second
        if rate is None:
            self._free_at[channel] = now
            return list(batch), 0
        together: list[T] = []
        units = 0
        for one in batch:
            size = _units(channel, text(one))
            if together and units + size > rate:
                break
            together.append(one)
            units += size
        return together, units

    def take(self, channel: str, units: int, *, urgent: bool) -> float:
        """Takes the time that `units` need and returns 0, or returns the seconds until there may be some."""
        return self._rates.take(channel, units, now=self._now(), urgent=urgent) if units else 0.0


def _units(channel: str, text: Rendered | None) -> int:
    return max(1, segments(text.body)) if channel == "sms" and text is not None else 1
