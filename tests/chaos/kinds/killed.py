"""Workers that die at each point of a send: killed as by a power cut, or told to stop."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from random import Random

from tests.chaos.place import IN_FLIGHT, Place
from tests.chaos.points import Point
from tests.chaos.report import Tallies
from tests.faults.installation import until

AT_ONCE = 20
"""Outreaches, and processes that die, in one round."""


async def caught_at(points: Mapping[Point, int], name: str, place: Place, seen: Tallies, dice: Random) -> None:
    """Lets processes die at points, so many at each, while outreaches leave, and looks at what was sent."""
    before, deaths = len(place.traps.sprung()), sum(points.values())
    for point, times in points.items():
        place.traps.arm(point, name, times)
    told = await asyncio.gather(*(place.tell(dice.randint(12, 20)) for _ in range(deaths)))
    await until(lambda: len(place.traps.sprung()) == before + deaths, 180)
    held = 0
    for one in told:
        held += (await place.settled(one)).unknown
    caught = place.traps.sprung()[before:]
    assert Counter(one.point for one in caught) == points, caught
    for fault in caught:
        seen.fault(f"{name.lower()} {fault.point}", in_flight=fault.in_flight)
    texts = place.texts()
    numbers = [number for one in told for number in one.numbers]
    missing = sum(1 for number in numbers if not texts[number])
    seen.saw(
        {
            "duplicate": sum(max(texts[number] - 1, 0) for number in numbers),
            "lost": max(missing - held, 0),
            "unknown_held": held,
        }
    )
    if any(one.in_flight > IN_FLIGHT for one in caught):
        seen.wrong(f"{name}: more than {IN_FLIGHT} messages were between intent and result")


ROUNDS = tuple(partial(caught_at, {point: AT_ONCE}, "SIGKILL") for point in Point)
EACH_ONCE = partial(caught_at, dict.fromkeys(Point, 1), "SIGKILL")
