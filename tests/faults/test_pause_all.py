"""Everything is paused in the middle of a mass of texts, with two worker processes; two signatures let it go on."""

import asyncio
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tellfirst.playbooks.gsm import segments
from tests.faults.installation import TEMPORAL, Installation, until
from tests.figures import Figure

PEOPLE = int(os.environ.get("TELLFIRST_PAUSED", "1000"))
PROMISED = 5.0
"""Seconds after a pause within which the last request may begin."""


async def tellfirst(place: Installation, *words: str) -> tuple[int, str]:
    """Runs a command as people do: in a process of its own."""
    done = await asyncio.create_subprocess_exec(
        *(str(TEMPORAL.with_name("tellfirst")), *words),
        env={**os.environ, **place.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await done.communicate()
    assert done.returncode is not None
    return done.returncode, out.decode()


async def pause(place: Installation) -> tuple[float, float]:
    """Pauses everything and returns when that began and when it was said to be done."""
    assert (await tellfirst(place, "pause", "--all", "--as", "ana"))[0] == 0
    said = time.time()
    switch = place.controls.pause()
    assert switch is not None
    return switch.at.timestamp(), said


async def finished(place: Installation, outreach: str, count: int, within: float) -> None:
    """Waits until all was told, each once, in our records and in the provider's own."""
    await until(lambda: place.sends.tally(outreach).accepted == count, within)
    messages = Counter(m["to"] for m in place.provider.accepted())
    assert (len(messages), max(messages.values())) == (count, 1), "each of them one text"
    code, out = await tellfirst(place, "verify", "--json", "--provider-log", str(place.provider.log))
    verified = json.loads(out)
    assert code == 0, verified
    assert (verified["lost"], verified["duplicate"], verified["unauthorised"]) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_begins_five_seconds_after_everything_was_paused(tmp_path: Path, figure: Figure) -> None:
    # However many there are, they take about as long: the pause has to come in the middle.
    async with Installation(tmp_path, delay_ms=max(20, 200_000 // PEOPLE)) as place:
        place.people(PEOPLE)
        workers = [place.worker(), place.worker()]
        handle = await place.start(PEOPLE)
        await place.approve(handle)
        await until(lambda: len(place.provider.accepted()) > PEOPLE // 5, 120)
        begun, said = await pause(place)
        at_once = len(place.provider.accepted())
        await asyncio.sleep(PROMISED + 1)
        told = place.provider.accepted()
        last = max(m["at"] for m in told)
        figure(
            f"pause --all: {PEOPLE} texts by two processes, paused at {len(told)}; the last request began "
            f"{last - begun:+.3f} s after the pause was asked for, {last - said:+.3f} s after it was said to hold "
            f"({len(told) - at_once} texts later)"
        )
        assert last - begun <= PROMISED
        assert PEOPLE // 5 < len(told) < PEOPLE, "in the middle"
        # It survives whatever starts anew, and longer than a page that is held is tried again.
        place.kill(workers[0])
        place.worker()
        await asyncio.sleep(30)
        assert len(place.provider.accepted()) == len(told)
        await place.resume_all("ana")
        assert place.controls.pause() is not None, "one signature changes nothing"
        await place.resume_all("ben")
        assert place.controls.on() == []
        resumed = time.monotonic()
        await finished(place, handle.id, PEOPLE, 300)
        figure(f"pause --all: verified {time.monotonic() - resumed:.1f} s after two signatures, none twice")


@pytest.mark.slow
async def test_so_it_is_on_a_paced_channel_whose_rate_people_change(tmp_path: Path, figure: Figure) -> None:
    people, rate = 24, 3
    async with Installation(tmp_path) as place:
        place.environment["TELLFIRST_SMS_RATE"] = str(rate)
        place.environment["TELLFIRST_PAGE_SIZE"] = "5"
        place.people(people)
        place.worker(), place.worker()
        handle = await place.start(people)
        await place.approve(handle)
        await until(lambda: len(place.provider.accepted()) >= 6, 60)
        begun, said = await pause(place)
        await asyncio.sleep(PROMISED + 1)
        told = place.provider.accepted()
        sizes = [(m["at"], segments(m["body"])) for m in told]
        last = sizes[-1][0]
        assert last - begun <= PROMISED
        busiest = max(sum(size for at, size in sizes if first <= at < first + 3) for first, _ in sizes)
        assert busiest <= 4 * rate + max(size for _, size in sizes), "both processes keep one pace"
        figure(
            f"pause --all at {rate} segments/s from two processes: {sum(size for _, size in sizes)} segments in "
            f"{last - sizes[0][0]:.1f} s, at most {busiest} in any 3 s; the last request began {last - begun:+.3f} s "
            f"after the pause was asked for, {last - said:+.3f} s after it was said to hold"
        )
        assert (await tellfirst(place, "channels", "rate", "sms", "300"))[0] == 0
        await place.resume_all("ana")
        await place.resume_all("ben")
        await finished(place, handle.id, people, 120)
        rest = [m["at"] for m in place.provider.accepted()][len(told) :]
        figure(
            f"channels rate sms 300: the other {len(rest)} texts left in {rest[-1] - rest[0]:.1f} s, nothing restarted"
        )
        assert rest[-1] - rest[0] < len(rest) * 3 / rate / 2
