"""A worker stops at each point of a micro-batch, something changes, the worker goes on: nothing more leaves."""

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from uuid import uuid4

from tellfirst.client import OutreachClient
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.audit import Audit, AuditedSend
from tellfirst.store.consents import Consents
from tellfirst.store.controls import Controls
from tellfirst.store.engine import Database
from tests.chaos.deciding import Approver, Case, case, submit, together
from tests.chaos.place import PAGE_SIZE, Place, number_of, stopped
from tests.chaos.points import Point
from tests.chaos.report import Tallies
from tests.faults.installation import until

SOON = 2.5
"""Seconds within which a change is committed: a worker is woken long before another takes its page over."""
STALE = 3.3
"""Seconds after which what a micro-batch read before its transaction, such as the registry, is read again."""

LAG = 1.0
"""Seconds by which a worker's clock may be behind: it counts from when the server handed the page out."""


class Scene:
    """Is one outreach of one page, and the person who approves it."""

    def __init__(self, place: Place, given: Case, approver: Approver) -> None:
        self.place, self.case, self.approver = place, given, approver

    @property
    def customers(self) -> list[str]:
        """Returns all whom it is about."""
        first = self.case.told.first
        return [f"c-{n}" for n in range(first, first + self.case.told.count)]


def opt_out(scene: Scene) -> None:
    """Lets all its customers opt out."""
    Consents(scene.place.database).opt_out(scene.customers, channel="sms", at=datetime.now(UTC), source="test")


def pause(scene: Scene) -> None:
    """Pauses the outreach."""
    scene.place.outreaches.hold(scene.case.id, paused=True)


def pause_all(scene: Scene) -> None:
    """Pauses everything."""
    place = scene.place
    anchored = Controls(Database(place.database.engine, anchor=place.settings.anchor))
    anchored.pause_all(uuid4().hex, by="ana", at=datetime.now(UTC))


def clear(scene: Scene) -> None:
    """Lets the condition be over."""
    scene.place.outreaches.clear(scene.case.id, at=datetime.now(UTC))


def revoke(scene: Scene) -> None:
    """Revokes the key that its approval was signed with."""
    scene.approver.revoke()


CHANGES: Mapping[str, Callable[[Scene], None]] = {
    "opt-out": opt_out,
    "pause": pause,
    "pause-all": pause_all,
    "condition cleared": clear,
    "revoked key": revoke,
}
ENDED = frozenset({"opt-out", "condition cleared"})
"""Changes after which nobody else is ever told; after the others people let it go on."""


class Boundary(Frozen):
    """Is what became of one change: which customers were told after it although nothing of theirs had passed the gate.

    `passed` counts those told after it whose message had.
    """

    late: tuple[str, ...]
    passed: int


async def changes(place: Place, seen: Tallies, dice: Random) -> None:
    """Makes each change at each point, one after the other, on outreaches that are planned side by side."""
    wished = [(change, point) for change in CHANGES for point in Point]
    dice.shuffle(wished)
    usual = Approver(place.approvers).join()
    scenes = await together(*(_scene(place, change, usual) for change, _ in wished))
    ended = []
    while wished:
        scene, (change, point) = scenes.pop(), wished.pop()
        found = await at_boundary(scene, change, point)
        await _go_on(scene, change)
        ended.append((scene, change))
        if found is None:  # once more: the worker was stopped while another of its threads kept the database
            wished.append((change, point))
            scenes.append(await _scene(place, change, usual))
            continue
        seen.fault(f"{change} at a boundary")
        seen.saw({"after_gate": found.passed})
        seen.saw({"after_optout" if change == "opt-out" else "unauthorised": len(found.late)})
        if found.late:
            seen.wrong(f"{len(found.late)} messages passed the gate after: {change} {point}")
    seen.saw(_outcome(place, ended))
    if not any(name.startswith("no gate") for name in seen.controls):
        seen.controls |= await _control()


async def at_boundary(scene: Scene, change: str, point: Point) -> Boundary | None:
    """Stops the worker that sends an outreach at a point, commits a change, and wakes it; returns once it rests.

    Returns None where the change could not be committed before the worker was woken.
    """
    place, before = scene.place, len(scene.place.traps.sprung())
    with place.as_they_are():
        place.traps.arm(point, "SIGSTOP")
        answer = await submit(place, scene.case.id, scene.approver.decides(scene.case.revision))
        assert answer.accepted, answer
        await until(lambda: len(place.traps.sprung()) > before, 60)
        caught = place.traps.sprung()[-1]
        try:
            await until(lambda: stopped(caught.process), SOON)
            told = place.texts()
            committing = asyncio.create_task(asyncio.to_thread(CHANGES[change], scene))
            committed, _ = await asyncio.wait({committing}, timeout=SOON)
            gone = {send.customer for send in _sends(scene) if send.state is not SendState.PLANNED}
            if change == "revoked key":
                await asyncio.sleep(STALE if point is Point.BEFORE_INTENT else LAG)
        finally:
            os.kill(caught.process, signal.SIGCONT)
        await committing
        await _rested(scene)
    if not committed:
        return None
    fresh = [c for c in scene.customers if place.texts()[_number(c)] > told[_number(c)]]
    late = tuple(customer for customer in fresh if customer not in gone)
    return Boundary(late=late, passed=len(fresh) - len(late))


async def _scene(place: Place, change: str, usual: Approver) -> Scene:
    given = await case(place, PAGE_SIZE)
    return Scene(place, given, Approver(place.approvers).join() if change == "revoked key" else usual)


def _sends(scene: Scene) -> list[AuditedSend]:
    return Audit(scene.place.database).sends_on(scene.case.id, 1, 0)


def _number(customer: str) -> str:
    return number_of(int(customer.removeprefix("c-")))


async def _rested(scene: Scene) -> None:
    """Waits until no worker has anything of an outreach in hand."""
    handle = scene.place.client.get_workflow_handle(scene.case.id)
    async with asyncio.timeout(60):
        while (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)


async def _go_on(scene: Scene, change: str) -> None:
    """Lets an outreach go on after a change, where people may, and waits until everything has ended."""
    place, id_ = scene.place, scene.case.id
    if change == "pause":
        place.outreaches.hold(id_, paused=False)
    elif change == "pause-all":
        await place.resume_all("ana")
        await place.resume_all("ben")
    elif change == "revoked key":
        await place.approve(place.client.get_workflow_handle(id_))
    if change in ("pause", "pause-all"):
        await OutreachClient(place.client).pause(id_, paused=False)
    await place.settled(scene.case.told)


def _outcome(place: Place, scenes: list[tuple[Scene, str]]) -> dict[str, int]:
    """Counts who was told twice, and who was not although it went on in the end."""
    found: Counter[str] = Counter()
    for scene, change in scenes:
        tally, texts = place.sends.tally(scene.case.id), place.texts()
        times = [texts[_number(customer)] for customer in scene.customers]
        excused = tally.withheld if change in ENDED else 0
        found["duplicate"] += sum(max(count - 1, 0) for count in times)
        found["lost"] += max(times.count(0) - tally.unknown - excused, 0)
        found["unknown_held"] += tally.unknown
    return dict(found)


async def _control() -> dict[str, bool]:
    """Returns for each change whether customers are told after it by a worker without a gate, and `verify` sees it."""
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as place:
            place.environment["CHAOS_CONTROL"] = "ungated"
            place.people(0)
            async with place.working(1):
                found, usual = {}, Approver(place.approvers).join()
                for change in CHANGES:
                    one = None
                    while one is None:
                        one = await at_boundary(await _scene(place, change, usual), change, Point.BEFORE_INTENT)
                    found[change] = one
                    place.controls.turn_off("pause-all", by="ana", at=datetime.now(UTC))
                verified = await place.verify()
    seen = {"opt-out": verified["after_optout"] > 0, "revoked key": verified["unauthorised"] > 0}
    return {f"no gate, {change}": bool(one.late) and seen.get(change, True) for change, one in found.items()}


ROUNDS = (changes, changes)
