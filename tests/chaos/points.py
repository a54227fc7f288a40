"""The points of a send at which a process can be made to die, and the traps that wait for it there."""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from pathlib import Path

from tellfirst.domain.base import Frozen


class Point(StrEnum):
    """Is a point in the life of one micro-batch."""

    BEFORE_INTENT = "before_intent"
    AFTER_INTENT = "after_intent"
    BEFORE_POST = "before_post"
    AFTER_POST = "after_post"
    AFTER_RESULT = "after_result"
    BEFORE_COMPLETION = "before_completion"


class Sprung(Frozen):
    """Is a trap that caught a process, which had so many messages between their intent and their result."""

    point: Point
    name: str
    process: int
    in_flight: int


class Traps:
    """Are files in a folder that all processes of an installation see; each catches whoever comes by first."""

    def __init__(self, folder: Path) -> None:
        self._armed, self._sprung = folder / "armed", folder / "sprung"
        self._armed.mkdir(parents=True, exist_ok=True)
        self._sprung.mkdir(exist_ok=True)
        self._number = count()

    def arm(self, point: Point, name: str, times: int = 1) -> None:
        """Lets the next processes that pass a point get a signal (`SIGKILL`, `SIGSTOP`, `SIGTERM`)."""
        signal.Signals[name]
        for _ in range(times):
            (self._armed / f"{point}.{name}.{os.getpid()}-{next(self._number)}").touch()

    def disarm(self) -> int:
        """Takes all traps away that caught nobody and returns how many those were."""
        return sum(_taken(trap, None) for trap in self._armed.iterdir())

    def sprung(self) -> list[Sprung]:
        """Returns what was caught so far, in that order."""
        found = []
        for file in sorted(self._sprung.iterdir(), key=lambda file: file.stat().st_ctime_ns):
            point, name, _, process, in_flight = file.name.split(".")
            found.append(Sprung(point=Point(point), name=name, process=int(process), in_flight=int(in_flight)))
        return found

    def passing(self, point: Point, in_flight: Callable[[], int]) -> None:
        """Lets this process be caught where a trap is armed at `point`."""
        for name in os.listdir(self._armed):  # noqa: PTH208 - at every micro-batch; names are all it takes
            if name.startswith(f"{point}.") and _taken(
                self._armed / name, self._sprung / f"{name}.{os.getpid()}.{in_flight()}"
            ):
                os.kill(os.getpid(), signal.Signals[name.split(".")[1]])
                return


def _taken(trap: Path, to: Path | None) -> bool:
    """Removes a trap, or moves it; only one of all who try is told that it was them."""
    try:
        trap.unlink() if to is None else trap.rename(to)
    except FileNotFoundError:
        return False
    return True
