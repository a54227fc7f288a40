"""Turns: in one process one thread thinks at a time, the event loop among them, and hands over only where it waits."""

import asyncio
import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets threads take turns for as long as they have something to do.

    Python's threads take turns anyway, but they hand over at every read and write of a socket: of two that are both
    busy, each then waits a whole switch interval for the other at every request. See docs/decisions.md for figures.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Waits for this thread's turn and keeps it; whoever has it must not wait for the loop."""
        with self._turn:
            yield

    @contextmanager
    def left(self) -> Iterator[None]:
        """Lets others have the turn that this thread has taken, for as long as it waits for something."""
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()

    def loop(self) -> asyncio.AbstractEventLoop:
        """Returns a new event loop that takes its turn like a thread and leaves it while nothing happens."""
        return asyncio.SelectorEventLoop(_Leaving(self._turn))


class _Leaving(selectors.DefaultSelector):
    def __init__(self, turn: threading.Lock) -> None:
        super().__init__()
        self._turn, self._taken = turn, False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)  # there is more to do already
        self._leave()
        try:
            return super().select(timeout)
        finally:
            self._turn.acquire()
            self._taken = True

    def close(self) -> None:
        self._leave()
        super().close()

    def _leave(self) -> None:
        if self._taken:
            self._taken = False
            self._turn.release()
