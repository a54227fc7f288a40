"""What a run of faults came to: one line anyone can check, and what stands behind it."""

from collections import Counter
from collections.abc import Mapping

from pydantic import Field

from tellfirst.domain.base import Answer


class Report(Answer):
    """Is the sum of a run.

    `kinds` counts the faults that happened, by kind. `lost`, `duplicate`, `unauthorised` and `after_optout` count
    messages; `unknown_held` those that wait for a person, at most `in_flight`: how many were between their intent and
    their result when a fault met them. `after_gate` had passed the gate when an opt-out or the like was committed, and
    left after it; `after_sleep` left when a worker that had been stopped woke up. `controls` says of each protection
    that was switched off whether what it prevents then happened, `seeded_bugs` of each bug whether it was caught.
    `broken` tells what else went wrong.
    """

    seed: int
    minutes: float
    kinds: dict[str, int]
    lost: int = 0
    duplicate: int = 0
    unauthorised: int = 0
    after_optout: int = 0
    unknown_held: int = 0
    in_flight: int = 0
    after_gate: int = 0
    after_sleep: int = 0
    controls: dict[str, bool] = Field(default_factory=dict)
    seeded_bugs: dict[str, bool] = Field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Says whether everything that was promised held."""
        zeros = self.lost + self.duplicate + self.unauthorised + self.after_optout
        checked = all(self.controls.values()) and all(self.seeded_bugs.values())
        return not zeros and not self.broken and checked and self.unknown_held <= self.in_flight

    def line(self) -> str:
        """Returns the line."""
        caught = sum(self.seeded_bugs.values())
        return (
            f"faults={sum(self.kinds.values())} lost={self.lost} duplicate={self.duplicate} "
            f"unauthorised={self.unauthorised} after_optout={self.after_optout} unknown_held={self.unknown_held} "
            f"seeded_bugs_caught={caught}/{len(self.seeded_bugs)}"
        )


class Tallies:
    """Adds up what the rounds of a run saw."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.controls: dict[str, bool] = {}
        self.seeded_bugs: dict[str, bool] = {}
        self.broken: list[str] = []

    def fault(self, kind: str, times: int = 1, *, in_flight: int = 0) -> None:
        """Counts faults that happened, and the messages between intent and result that they met."""
        self.kinds[kind] += times
        self.found["in_flight"] += in_flight

    def saw(self, counts: Mapping[str, int]) -> None:
        """Adds what a checker found: lost, duplicate, unauthorised, after_optout, unknown_held."""
        self.found.update(counts)

    def wrong(self, what: str) -> None:
        """Keeps a sentence on what went wrong otherwise."""
        self.broken.append(what)

    def report(self, *, seed: int, minutes: float) -> Report:
        """Returns the sum."""
        return Report(
            seed=seed,
            minutes=minutes,
            kinds=dict(sorted(self.kinds.items())),
            controls=self.controls,
            seeded_bugs=self.seeded_bugs,
            broken=tuple(self.broken),
            **self.found,
        )
