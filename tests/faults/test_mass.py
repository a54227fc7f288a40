"""Ten thousand texts through the official SDK; then the same with the only worker killed in the middle."""

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.installation import Installation, until

PEOPLE = 10_000
LARGEST_PAYLOAD = 256 * 1024


@pytest.mark.slow
async def test_ten_thousand_texts_each_once_and_nothing_personal_anywhere(tmp_path: Path) -> None:
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
        print(
            f"\nmass: {PEOPLE} texts in {seconds:.1f} s, {len(history.events)} events, largest payload {largest} bytes"
        )
        assert events < 500
        assert largest < LARGEST_PAYLOAD
        leaks = personal(place.temporal_file, tmp_path / "temporal.db-wal", place.logs, tmp_path / "server.log")
        assert leaks == {}


def personal(*files: Path) -> dict[str, int]:
    """Returns how often anything personal of the run stands in each file."""
    pattern = re.compile(rb"\+?1415\d{7}|zebulon", re.IGNORECASE)
    found = {file.name: len(pattern.findall(file.read_bytes())) for file in files if file.exists()}
    return {name: count for name, count in found.items() if count}


def _sizes(history: str) -> list[int]:
    """Returns the size of every payload in a history's JSON."""
    return [len(data) * 3 // 4 for data in re.findall(r'"data": ?"([^"]*)"', history)]


def counted(messages: list[dict[str, object]]) -> Counter[object]:
    return Counter(m["to"] for m in messages)
