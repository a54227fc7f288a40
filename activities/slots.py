"""Slots: how many requests one process has in flight on a channel, however many pages it works on."""

import threading
from collections.abc import Callable


class Slots:
    """Gives out as many slots as there may be requests in flight; who asks for many is not passed by who asks for few.

    While one waits, `beat` is called every `every` seconds; what it raises ends the waiting.
    """

    def __init__(self, count: int, *, every: float) -> None:
        self._count, self._every = count, every
        self._free, self._door = threading.Semaphore(count), threading.Lock()

    def take(self, wanted: int, beat: Callable[[], object]) -> int:
        """Waits for so many slots, all of them at most, and returns how many were taken."""
        had, wanted = 0, min(wanted, self._count)
        while not self._door.acquire(timeout=self._every):
            beat()
        try:
            while had < wanted:
                if self._free.acquire(timeout=self._every):
                    had += 1
                else:
                    beat()
        except BaseException:
            self.give(had)
            raise
        finally:
            self._door.release()
        return had

    def give(self, count: int) -> None:
        """Gives slots back."""
        if count:
            self._free.release(count)
