"""Waiting: for something to hold, for a time, or for the next deadline."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from temporalio import workflow


class Alarm(TypedDict, total=False):
    """Is when to stop waiting, and what is to be done then."""

    timeout: timedelta
    summary: str


async def until(condition: Callable[[], bool], **alarm: Unpack[Alarm]) -> None:
    """Waits until the condition holds or the time is up.

    The SDK tells a request to cancel also to whoever would go on in that very moment; here it is a message like others.
    """
    timeout = alarm.get("timeout")
    end = None if timeout is None else workflow.now() + timeout
    try:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(condition, timeout=timeout, timeout_summary=alarm.get("summary"))
    except asyncio.CancelledError:
        if not condition() and (end is None or workflow.now() < end):
            raise


class AlarmClock:
    """Wakes the workflow at its next deadline, with one timer for as long as that stays the same.

    A timer that every wait starts and cancels anew is two events of history each time, and an action to be paid for.
    """

    def __init__(self) -> None:
        self._deadline: tuple[datetime, str] | None = None
        self._timer: asyncio.Task[None] | None = None

    def set(self, deadline: tuple[datetime, str] | None) -> None:
        """Has it ring at an instant, for what is to be done then, or not at all."""
        if deadline == self._deadline and (self._timer is None or not self._timer.done()):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline, self._timer = deadline, None
        if deadline is not None:
            left = deadline[0] - workflow.now()
            self._timer = asyncio.create_task(until(lambda: False, timeout=left, summary=deadline[1]))

    @property
    def rang(self) -> bool:
        """Returns whether the instant has come that it was set to."""
        return self._timer is not None and self._timer.done()
