"""Pacing: how many messages of a channel leave this process in a second."""

import threading
import time
from collections.abc import Callable


class Pace:
    """Spreads messages evenly over time, for all pages that one process sends on a channel.

    `rate` is in messages a second. `monotonic` and `rest` (seconds) are the clock and the sleep.
    """

    def __init__(
        self,
        rate: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._monotonic, self.rest = rate, monotonic, rest
        self._free_at = monotonic()
        self._lock = threading.Lock()

    def at_once(self, most: int) -> int:
        """Returns how many messages leave together: at most one second's worth, and always one."""
        return max(1, min(most, int(self._rate)))

    def take(self, count: int) -> float:
        """Takes the time that `count` messages need and returns 0, or returns the seconds until there is some."""
        with self._lock:
            now = self._monotonic()
            if now < self._free_at:
                return self._free_at - now
            self._free_at = now + count / self._rate
            return 0.0
