"""Time inside an activity: the attempt's start as the server knows it, plus what has passed since on this machine."""

import time
from datetime import UTC, datetime, timedelta

from temporalio import activity


class AttemptClock:
    """Tells the time of this attempt; under a server with a virtual clock it is virtual too.

    The server knows nothing of a local activity: there the start is by this machine's clock.
    """

    def __init__(self) -> None:
        self._started = activity.info().started_time.astimezone(UTC)
        self._begun = time.monotonic()

    def now(self) -> datetime:
        """Returns the present instant, aware, in UTC."""
        return self._started + timedelta(seconds=time.monotonic() - self._begun)
