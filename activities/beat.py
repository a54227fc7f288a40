"""Signs of life of an activity that works through many pages."""

import time

from temporalio import activity

EVERY = 1.0
"""Seconds; each sign waits for the thread of the worker's loop, which at every page was a twentieth of planning."""


class Beat:
    """Tells the server that an activity is alive, and how far it has come, at most once a second."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def tell(self, done: int) -> None:
        """Tells it, unless it was told just now."""
        if (now := time.monotonic()) >= self._due:
            activity.heartbeat(done)
            self._due = now + EVERY
