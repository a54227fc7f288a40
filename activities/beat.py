"""Signs of life of an activity that works through many pages, and where it lets itself be called back.

An activity's thread is never interrupted: an exception from outside can strike between a request and its recorded
answer, or a thread that was just begun, whose start is then waited for for ever. So it looks by itself, between pages.
"""

import time

from temporalio import activity
from temporalio.exceptions import CancelledError

EVERY = 1.0
"""Seconds; each sign waits for the thread of the worker's loop, which at every page was a twentieth of planning."""


def beat(*progress: object) -> None:
    """Tells how far an activity has come; raises CancelledError once it is called back or its worker has no time."""
    if not activity.info().is_local:  # inside a workflow task nobody listens
        activity.heartbeat(*progress)
    go_on()


def go_on() -> None:
    """Raises CancelledError once an activity is called back or its worker has no time."""
    if activity.is_cancelled():
        raise CancelledError("called back between two pages")


class Beat:
    """Tells the server that an activity is alive, and how far it has come, at most once a second."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def tell(self, done: int) -> None:
        """Tells it, unless it was told just now; raises CancelledError once the activity is called back."""
        go_on()
        if (now := time.monotonic()) >= self._due:
            activity.heartbeat(done)
            self._due = now + EVERY
