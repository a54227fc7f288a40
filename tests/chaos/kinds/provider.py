"""Providers that are down, slow, full, or answer nonsense, and lines that break: before or after they had a message."""

import asyncio
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from random import Random

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.tables import SendRow
from tests.chaos.place import Place, Told
from tests.chaos.proxy import SPOILS
from tests.chaos.report import Tallies
from tests.faults.installation import until

EACH = 10
"""How often a round makes each fault."""
OUTREACHES, PEOPLE = 5, 32
"""Of a round: so many messages that some of each page meet no fault."""


class Fault(Frozen):
    """Is what meets one request: a mode of the local provider or of the proxy, and what it leaves us knowing.

    In `doubt` is a request whose answer does not say whether the message left; `has` says whether the provider then
    has it. `deaf` faults also spoil what is asked about it later.
    """

    kind: str
    mode: str
    doubt: bool
    has: bool
    deaf: bool = False
    options: Mapping[str, float] = Field(default_factory=dict)


FAULTS = (
    Fault(kind="429", mode="rate_limit", doubt=False, has=False, options={"retry_after": 0.3}),
    Fault(kind="500 before acceptance", mode="error_before", doubt=True, has=False),
    Fault(kind="503 after acceptance", mode="error_after", doubt=True, has=True),
    Fault(kind="reset before acceptance", mode="reset_before", doubt=True, has=False),
    Fault(kind="reset after acceptance", mode="reset_after", doubt=True, has=True),
    Fault(kind="slow beyond the time-out", mode="slow", doubt=True, has=True, options={"ms": 2_500}),
    Fault(kind="truncated answer", mode="truncated", doubt=True, has=True),
    Fault(kind="garbage answer", mode="garbage", doubt=True, has=True),
    Fault(kind="empty answer", mode="empty", doubt=True, has=True),
    Fault(kind="black hole", mode="black_hole", doubt=True, has=False),
    Fault(kind="request cut off", mode="cut_request", doubt=True, has=False),
    Fault(kind="answer cut off", mode="cut_answer", doubt=True, has=True),
    Fault(kind="answer and look-up cut off", mode="cut_answer", doubt=True, has=True, deaf=True),
    Fault(kind="late answer", mode="late", doubt=False, has=True),
)


async def answers(place: Place, seen: Tallies, dice: Random) -> None:
    """Lets requests of all pages meet all faults at once, and looks who was told how often."""
    told = [await place.tell(PEOPLE, approve=False) for _ in range(OUTREACHES)]
    numbers = sorted(number for one in told for number in one.numbers)
    dice.shuffle(numbers)
    hit = [(fault, numbers[n * EACH : (n + 1) * EACH]) for n, fault in enumerate(FAULTS)]
    for fault, unlucky in hit:
        for number in unlucky:
            spoil(place, fault, number)
    before = _applied(place)
    try:
        await _leave(place, told)
    finally:
        place.provider.clear()
        place.proxy.spoiled.clear()
    after, entries, texts = _applied(place), entries_of(place, told), place.texts()
    for mode in {fault.mode for fault in FAULTS}:
        alike = [fault for fault in FAULTS if fault.mode == mode]
        if (times := after(mode) - before(mode)) != EACH * len(alike):
            seen.wrong(f"provider: {mode} was to happen {EACH * len(alike)} times and did {times} times")
    for fault, unlucky in hit:
        seen.fault(f"provider: {fault.kind}", len(unlucky), in_flight=len(unlucky) if fault.doubt else 0)
        _look(seen, fault, [(entries[number], texts[number]) for number in unlucky])
    doubtful = {number for fault, unlucky in hit if fault.doubt for number in unlucky}
    if any(row.state == SendState.UNKNOWN and number not in doubtful for number, row in entries.items()):
        seen.wrong("provider: a message is held that nothing ambiguous met")
    judge(place, seen, told)


async def refusals(place: Place, seen: Tallies, dice: Random) -> None:
    """Lets nobody connect to the provider while pages begin to leave."""
    told = [await place.tell(PEOPLE, approve=False) for _ in range(dice.randint(2, 3))]

    def refused() -> int:
        return sum(row.attempts - (row.state != SendState.PLANNED) for row in entries_of(place, told).values())

    place.proxy.refuse()
    try:
        approving = asyncio.gather(*(place.approve(place.handle(one), within=120) for one in told))
        await until(lambda: refused() >= EACH, 120)
    finally:
        place.proxy.listen()
    await approving
    await asyncio.gather(*(place.settled(one) for one in told))
    seen.fault("provider: connection refused", refused())
    if any(row.state != SendState.ACCEPTED for row in entries_of(place, told).values()):
        seen.wrong("provider: a message whose connection was refused did not leave later")
    judge(place, seen, told)


async def resent(place: Place, seen: Tallies, dice: Random) -> None:
    """Shows once that workers which take an answer that says nothing for a no would tell people twice."""
    name = "ambiguous answers taken for not sent"
    if name in seen.controls:
        return
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as other:
            other.environment["CHAOS_CONTROL"] = "resend"
            other.people(0)
            told = await other.tell(EACH, approve=False)
            for number in told.numbers:
                spoil(other, dice.choice([fault for fault in FAULTS if fault.doubt and fault.has]), number)
            async with other.working(1):
                await _leave(other, [told])
            texts = other.texts()
            seen.controls[name] = any(texts[number] > 1 for number in told.numbers)


ROUNDS = (answers, refusals, resent)


def spoil(place: Place, fault: Fault, number: str) -> None:
    """Lets the next request for a number meet a fault."""
    if fault.mode in SPOILS:
        place.proxy.spoiled["POST", number] = fault.mode, 1
    else:
        place.provider.fault(fault.mode, to_suffix=number, times=1, **fault.options)
    if fault.deaf:
        place.proxy.spoiled["GET", number] = "cut_answer", 100


def judge(place: Place, seen: Tallies, told: Sequence[Told], spared: Collection[str] = ()) -> None:
    """Holds what the provider has against the effect log: each number once, or a person knows of it.

    Only the `spared` may be told nothing.
    """
    texts, entries = place.texts(), entries_of(place, told)
    over = {number for number, row in entries.items() if row.state == SendState.UNKNOWN}
    over |= {number for number in spared if entries[number].state == SendState.WITHHELD}
    seen.saw(
        {
            "duplicate": sum(max(texts[number] - 1, 0) for number in entries),
            "lost": sum(not texts[number] and number not in over for number in entries),
            "unknown_held": sum(row.state == SendState.UNKNOWN for row in entries.values()),
        }
    )
    if len(entries) != sum(one.count for one in told):
        seen.wrong("provider: not everybody has a send")


def _look(seen: Tallies, fault: Fault, ended: Sequence[tuple[SendRow, int]]) -> None:
    """Says what a fault was taken for that it was not; a machine under load may doubt more than it had to."""
    for row, texts in ended:
        known = row.state == SendState.ACCEPTED
        if fault.doubt and not fault.has and (known or texts):
            seen.wrong(f"provider: {fault.kind}: a message that may have left was sent again ({row.state})")
        if fault.deaf and known:
            seen.wrong(f"provider: {fault.kind}: a message was adopted without any proof")
    adopted = sum(row.reason == "reconciled" for row, _ in ended)
    if fault.doubt and fault.has and not fault.deaf and adopted < len(ended) / 2:
        seen.wrong(f"provider: {fault.kind}: {adopted} of {len(ended)} messages were found at the provider")


async def _leave(place: Place, told: Sequence[Told]) -> None:
    await asyncio.gather(*(place.approve(place.handle(one), within=120) for one in told))
    await asyncio.gather(*(place.settled(one) for one in told))


def _applied(place: Place) -> Callable[[str], int]:
    counts = {**place.provider.stats(), **{mode: place.proxy.applied["POST", mode] for mode in SPOILS}}
    return lambda mode: counts.get(mode, 0)


def entries_of(place: Place, told: Sequence[Told]) -> dict[str, SendRow]:
    """Returns what the effect log says of the first message of each, by number."""
    return {number: row for one in told for number, row in place.entries(one).items()}
