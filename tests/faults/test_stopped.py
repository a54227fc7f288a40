"""A worker that is stopped, not dead: another takes its pages over, and when it wakes up it meets the fence."""

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.chaos.kinds.stopped import asleep
from tests.chaos.place import Place
from tests.chaos.points import Point
from tests.chaos.report import Tallies
from tests.faults.installation import Installation, until
from tests.faults.test_mass import settled
from tests.figures import Figure

PEOPLE = 200
SLEEPERS = 5
ATTEMPTS = 3


# The server hands tasks to a sleeper too, one for each of its open polls, and waits for each: this takes a minute.
@pytest.mark.skipif(not os.environ.get("TELLFIRST_STOPPED"), reason="a minute long; TELLFIRST_STOPPED=1 runs it")
@pytest.mark.slow
async def test_a_worker_that_wakes_up_sends_nothing_of_what_another_took_over(tmp_path: Path, figure: Figure) -> None:
    async with Installation(tmp_path, delay_ms=20) as place:
        place.people(PEOPLE)
        sleeper = place.worker()
        handle = await place.start(PEOPLE)
        await place.approve(handle)
        await until(lambda: len(place.provider.accepted()) > PEOPLE // 4, 120)
        await asyncio.to_thread(place.provider.fault, "hold")
        await asyncio.to_thread(place.provider.wait, held=8)
        sleeper.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(place.provider.clear)
        await asyncio.to_thread(place.provider.release)
        begun = time.monotonic()
        place.worker()
        await until(lambda: settled(place.sends.tally(handle.id), PEOPLE), 120)
        tally, sent = place.sends.tally(handle.id), len(place.provider.accepted())
        figure(f"stopped: {PEOPLE} texts, all settled by another after {time.monotonic() - begun:.1f} s")
        sleeper.send_signal(signal.SIGCONT)
        sleeper.send_signal(signal.SIGTERM)
        await asyncio.to_thread(sleeper.wait)
        messages = place.provider.accepted()
        assert max(Counter(m["to"] for m in messages).values()) == 1
        assert len(messages) == sent, "what woke up sent nothing more"
        assert place.sends.tally(handle.id) == tally, "nor did it write anything over"
        assert tally.unknown <= 8


@pytest.mark.skipif(not os.environ.get("TELLFIRST_STOPPED"), reason="minutes long; TELLFIRST_STOPPED=1 runs it")
@pytest.mark.slow
@pytest.mark.parametrize("channel", ["sms", "email"])
async def test_stopped_between_the_last_look_and_the_request(tmp_path: Path, figure: Figure, channel: str) -> None:
    seen = Tallies()
    points = (Point.BEFORE_POST,) * SLEEPERS
    async with Place(tmp_path) as place:
        place.people(0)
        async with place.working(3):
            # A sleeper may have the lock of the file, and must then be woken before the others could end anything.
            for attempt in range(1, ATTEMPTS + 1):
                if await asleep(channel, points, place, seen, Random(attempt)):
                    break
            else:
                pytest.fail(f"somebody slept with the lock of the file {ATTEMPTS} times")
        found = await place.verify()
    held, late = seen.found["unknown_held"], seen.found["after_sleep"]
    key = "a key" if channel == "email" else "no key"
    figure(
        f"stopped: {attempt * SLEEPERS} workers slept between the last look and the request to a provider with {key}: "
        f"{seen.found['duplicate']} duplicates, {held} held for a person, {late} of them left when a worker woke up"
    )
    assert seen.broken == []
    assert (seen.found["lost"], seen.found["duplicate"]) == (0, 0)
    assert (found["lost"], found["duplicate"], found["unauthorised"], found["after_optout"]) == (0, 0, 0, 0)
    assert (held == late == 0) if channel == "email" else (0 < late <= held <= seen.found["in_flight"])
