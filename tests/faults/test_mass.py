"""Thousands of texts through the official SDK; then the same with the only worker killed in the middle."""

import asyncio
import json
import os
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tellfirst.store.sends import Tally
from tests.faults.installation import TEMPORAL, Installation, until
from tests.figures import Figure

PEOPLE = int(os.environ.get("TELLFIRST_MASS", "3000"))
KILLED = int(os.environ.get("TELLFIRST_KILLED", "1000"))
LARGEST_PAYLOAD = 256 * 1024


@pytest.mark.slow
async def test_thousands_of_texts_each_once_and_nothing_personal_anywhere(tmp_path: Path, figure: Figure) -> None:
    async with Installation(tmp_path) as place:
        place.people(PEOPLE)
        place.worker()
        handle = await place.start(PEOPLE)
        await place.approve(handle)
        begun = time.monotonic()
        await until(lambda: place.sends.tally(handle.id).accepted == PEOPLE, 240)
        seconds = time.monotonic() - begun
        messages = place.provider.accepted()
        assert len(messages) == PEOPLE
        assert len({m["to"] for m in messages}) == PEOPLE
        history = await handle.fetch_history()
        largest = max(_sizes(history.to_json()))
        events = len(history.events)
        figure(f"mass: {PEOPLE} texts in {seconds:.1f} s, {events} events, largest payload {largest} bytes")
        assert events < 500
        assert largest < LARGEST_PAYLOAD
        leaks = personal(place.temporal_file, tmp_path / "temporal.db-wal", place.logs, tmp_path / "server.log")
        assert leaks == {}


async def test_a_killed_worker_leaves_no_text_twice_and_only_those_in_flight_in_doubt(
    tmp_path: Path, figure: Figure
) -> None:
    async with Installation(tmp_path, delay_ms=20) as place:
        place.people(KILLED)
        victim = place.worker()
        handle = await place.start(KILLED)
        await place.approve(handle)
        # The provider holds what is in flight: the kill meets requests that it accepted and never answered.
        await until(lambda: len(place.provider.accepted()) > KILLED // 4, 120)
        await asyncio.to_thread(place.provider.fault, "hold")
        await asyncio.to_thread(place.provider.wait, held=8)  # as many as there are connections
        in_flight = place.provider.stats()["held"]
        assert place.sends.tally(handle.id).in_doubt == in_flight, "no intent without its request"
        place.kill(victim)
        await asyncio.to_thread(place.provider.clear)
        await asyncio.to_thread(place.provider.release)
        begun = time.monotonic()
        place.worker()
        await until(lambda: settled(place.sends.tally(handle.id), KILLED), 240)
        tally = place.sends.tally(handle.id)
        messages = place.provider.accepted()
        figure(
            f"kill: {KILLED} texts, {in_flight} requests in flight at the kill, {tally.unknown} held as unknown, "
            f"{len(messages)} at the provider, all settled {time.monotonic() - begun:.1f} s after the restart"
        )
        assert max(Counter(m["to"] for m in messages).values()) == 1, "no text twice"
        assert tally.accepted + tally.unknown == KILLED
        assert tally.unknown <= in_flight
        command = [str(TEMPORAL.with_name("tellfirst")), "verify", "--json", "--provider-log", str(place.provider.log)]
        done = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **place.environment}, stdout=asyncio.subprocess.PIPE
        )
        verified = json.loads((await done.communicate())[0])
        assert done.returncode == 0, verified
        assert (verified["lost"], verified["duplicate"], verified["unauthorised"]) == (0, 0, 0)
        assert verified["unknown_held"] == tally.unknown


def settled(tally: Tally, count: int) -> bool:
    return tally.accepted + tally.unknown == count and tally.in_doubt == 0


def personal(*files: Path) -> dict[str, int]:
    """Returns how often anything personal of the run stands in each file."""
    pattern = re.compile(rb"\+?1415\d{7}|zebulon", re.IGNORECASE)
    found = {file.name: len(pattern.findall(file.read_bytes())) for file in files if file.exists()}
    return {name: count for name, count in found.items() if count}


def _sizes(history: str) -> list[int]:
    """Returns the size of every payload in a history's JSON."""
    return [len(data) * 3 // 4 for data in re.findall(r'"data": ?"([^"]*)"', history)]
