"""Workers that are stopped past every deadline and wake up later, and workers that are told to stop.

Between the last look at the clock and the request nothing can be looked at any more: what a sleeper has in hand there
leaves when it wakes up. A provider with a key drops it if others sent it meanwhile; where there is no key nobody sends
it again, and a person decides.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

from tellfirst.domain.message import SendState
from tests.chaos.place import IN_FLIGHT, Place, Told, alive
from tests.chaos.points import Point, Sprung
from tests.chaos.report import Tallies
from tests.faults.installation import until

OUTREACHES = 6
"""Told at once in one round."""
LONGEST_SLEEP = 45.0
"""Seconds after which a sleeper is woken although not all has ended: it may have gone to sleep with a lock."""
KEYED = (Point.BEFORE_POST,) * 5 + (Point.AFTER_INTENT, Point.AFTER_POST)
WHERE = {"sms": "without a key", "email": "with a key"}
KEYLESS = (*Point, Point.BEFORE_POST, Point.BEFORE_POST)


async def asleep(channel: str, points: Sequence[Point], place: Place, seen: Tallies, dice: Random) -> bool:
    """Lets workers sleep at some points until others have ended all, wakes them up, and looks at what they sent.

    Returns whether they slept so long: where one of them holds the lock of a SQLite file, nobody can end anything.
    """
    repeated = _repeated(place)
    told, sleepers = await _caught(place, points, "SIGSTOP", channel, dice)
    rested = False
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_SLEEP):
            for one in told:
                await place.settled(one)
            rested = True
    slept = place.texts()
    await _wake(sleepers)
    found = await place.outcome(told)
    for sleeper in sleepers:
        # With a key nothing may be held at all.
        seen.fault(f"sigstop {WHERE[channel]}", in_flight=sleeper.in_flight if channel == "sms" else 0)
    seen.saw(found)
    texts, entries = place.texts(), {number: row for one in told for number, row in place.entries(one).items()}
    late = [number for number in entries if texts[number] > slept[number]] if rested else []
    seen.saw({"after_sleep": len(late)})
    if any(entries[number].state != SendState.UNKNOWN for number in late):
        seen.wrong("stopped: what left when a sleeper woke up is not held for a person")
    if any(not texts[number] and row.state != SendState.UNKNOWN for number, row in entries.items()):
        seen.wrong("stopped: somebody was not told, and nobody knows")
    if channel == "email":
        if found["unknown_held"]:
            seen.wrong("stopped: the provider has a key, and yet something is held")
        if _repeated(place) == repeated:
            seen.wrong("stopped: no key was seen twice, so nothing was tried")
    return rested


async def told_to_stop(place: Place, seen: Tallies, dice: Random) -> None:
    """Tells workers to stop at each point: what they have in work ends, and nothing is in doubt."""
    told, stopping = await _caught(place, tuple(Point) * 2, "SIGTERM", "sms", dice)
    found = await place.outcome(told)
    await until(lambda: not any(alive(one.process) for one in stopping), 60)
    seen.fault("sigterm", len(stopping))
    seen.saw(found)
    if found["unknown_held"]:
        seen.wrong(f"stopped: {found['unknown_held']} in doubt although workers were told before they had to stop")


async def unfenced(place: Place, seen: Tallies, dice: Random) -> None:
    """Shows once that workers which ask again for what a sleeper may have sent would tell people twice."""
    name = "intents of a sleeper asked for again without a key"
    if name in seen.controls:
        return
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as other:
            other.environment["CHAOS_CONTROL"] = "keyless"
            other.people(0)
            async with other.working(2):
                told, sleepers = await _caught(other, (Point.BEFORE_POST,) * 2, "SIGSTOP", "sms", dice, outreaches=2)
                for one in told:
                    await other.settled(one)
                await _wake(sleepers)
            texts = other.texts()
            seen.controls[name] = any(texts[number] > 1 for one in told for number in one.numbers)


async def _caught(
    place: Place, points: Sequence[Point], name: str, channel: str, dice: Random, *, outreaches: int = OUTREACHES
) -> tuple[list[Told], list[Sprung]]:
    """Starts outreaches and returns them with the workers that were caught, at most one at each of the points."""
    before = len(place.traps.sprung())
    told = await asyncio.gather(
        *(place.tell(dice.randint(16, 20), approve=False, channel=channel) for _ in range(outreaches))
    )
    for one in told:
        await place.planned(one)
    for point in points:
        place.traps.arm(point, name)
    approving = asyncio.gather(*(place.approve(place.handle(one), within=120) for one in told))
    try:
        # Whoever went to sleep with the lock of a SQLite file keeps everybody else from going on to a trap.
        with suppress(AssertionError):
            await until(lambda: len(place.traps.sprung()) == before + len(points), LONGEST_SLEEP)
        place.traps.disarm()
        caught = place.traps.sprung()[before:]
        try:
            await asyncio.wait_for(approving, 30)
        except TimeoutError:
            await _wake(caught)
            again = (place.approve(place.handle(one), within=120) for one in told)
            await asyncio.gather(*again, return_exceptions=True)  # some are approved already
    finally:
        approving.cancel()  # or it would ask a server for ever that is gone
    assert caught, "nobody came by"
    assert all(one.in_flight <= IN_FLIGHT for one in caught), caught
    return list(told), caught


async def _wake(sleepers: Sequence[Sprung]) -> None:
    """Wakes workers up and tells them to stop; returns when what they had in hand has come to its end."""
    for one in sleepers:
        with suppress(ProcessLookupError):
            os.kill(one.process, signal.SIGCONT)
            os.kill(one.process, signal.SIGTERM)
    await until(lambda: not any(alive(one.process) for one in sleepers), 60)


def _repeated(place: Place) -> int:
    return place.provider.stats().get("repeated", 0)


ROUNDS = (
    partial(asleep, "sms", KEYLESS),
    partial(asleep, "sms", KEYLESS),
    partial(asleep, "email", KEYED),
    partial(asleep, "email", KEYED),
    told_to_stop,
    unfenced,
)
