"""The Temporal server dies as by a power cut: while texts leave, while people are waited for, in timers, in updates."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from temporalio.client import WorkflowHistory

from tellfirst.client import OutreachClient
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tests.chaos.commands import Commands, Said, commands
from tests.chaos.place import IN_FLIGHT, Place, Told, alive
from tests.chaos.report import Tallies
from tests.faults.installation import until

TIMES = 6
"""Deaths in each situation, in one round."""
PEOPLE = 24
"""Recipients of an outreach that leaves meanwhile: three pages."""
AT_ONCE = 3
"""People who approve side by side."""
BATCH = 12
"""Outreaches that wait for them when the next deaths begin."""
AGAIN = ("not confirmed", "did not answer", "cannot be reached")
"""What a command says that does not know what became of a decision: run it again."""


async def deaths(place: Place, seen: Tallies, dice: Random) -> None:
    """Kills the server in each situation, starts it again on its file, and lets everything end."""
    told, approving = [], []
    for _ in range(TIMES):
        waits, decided = await asyncio.gather(*(place.tell(1, approve=False) for _ in range(2)))
        told += [await while_sending(place), waits, decided]
        seen.fault("temporal killed while sending")
        await while_waiting(place, waits)
        seen.fault("temporal killed while waiting")
        approving.append(asyncio.create_task(place.approve(place.handle(waits), within=120)))
        approving.append(await in_an_update(place, seen, decided, dice))
        told.append(await in_a_timer(place, seen, dice))
    await asyncio.gather(*approving)
    seen.saw(await place.outcome(told))


async def while_sending(place: Place) -> Told:
    """Kills it while requests of a page are held at the provider."""
    await asyncio.to_thread(place.provider.fault, "hold")
    told = await place.tell(PEOPLE)
    await asyncio.to_thread(place.provider.wait, held=IN_FLIGHT)
    place.kill_temporal()
    assert sum(place.texts()[number] for number in told.numbers) < PEOPLE
    await asyncio.to_thread(place.provider.clear)
    await asyncio.to_thread(place.provider.release)
    await place.start_temporal()
    return told


async def in_a_timer(place: Place, seen: Tallies, dice: Random) -> Told:
    """Kills it while an outreach waits before it asks the provider; that time ends while it is away, or soon after."""
    told = await place.tell(1, approve=False)
    (number,) = told.numbers
    await asyncio.to_thread(place.provider.fault, "error_after", times=1, to_suffix=number)
    await place.approve(place.handle(told), within=120)
    await until(lambda: in_doubt(place, told) or place.sends.tally(told.outreach).accepted, 60)
    place.kill_temporal()
    await asyncio.sleep(dice.uniform(0, 2))  # the time at which a timer meets a server that is not there
    seen.fault("temporal killed in a timer", in_doubt(place, told))  # else it had been asked already
    await place.start_temporal()
    return told


def in_doubt(place: Place, told: Told) -> bool:
    """Says whether the provider's answer about an outreach's only text told nothing, and nobody asked it since."""
    return any(row.state == SendState.INTENT and row.reason for row in place.entries(told).values())


async def while_waiting(place: Place, told: Told) -> None:
    """Kills it while nothing happens but that people are waited for."""
    await place.planned(told)
    await OutreachClient(place.client).view(told.outreach)  # no task of the workflow is under way once it has answered
    await place.restart_temporal()


async def in_an_update(place: Place, seen: Tallies, told: Told, dice: Random) -> "asyncio.Task[None]":
    """Kills it while a decision is on its way, and returns who goes on submitting it."""
    await place.planned(told)
    approving = asyncio.create_task(place.approve(place.handle(told)))
    await asyncio.sleep(dice.uniform(0, 0.05))
    seen.fault("temporal killed in an update", not approving.done())  # else it had been answered already
    await place.restart_temporal()
    return approving


# -- approvals by the command line


class Approved(Frozen):
    """Is what became of approvals by `tellfirst approve` while the server died again and again.

    `kills` met a command between its question and its answer; `accepted` decisions were reported as accepted, and
    `again` times a command said to run it again. `missing` and `twice` count accepted decisions that are not in the
    workflow and the database, or not once.
    """

    kills: int
    accepted: int
    again: int
    missing: int
    twice: int

    def line(self) -> str:
        """Returns the figure."""
        return (
            f"temporal killed {self.kills} times during approvals: {self.accepted} decisions that `tellfirst approve` "
            f"reported as accepted, {self.accepted - self.missing} of them in workflow and database, {self.twice} "
            f"twice; {self.again} times it said to run it again"
        )


async def approvals(place: Place, seen: Tallies, dice: Random, kills: int = 10) -> Approved:
    """Kills the server whenever commands are about to be answered, so many times, and looks for each decision."""
    key = approver(place)
    killed = again = 0
    told: list[Told] = []
    accepted: list[Told] = []

    async def approve(left: list[Told], by: Commands) -> None:
        nonlocal again
        while left:
            one = left.pop()
            while not (said := meaning(await by.run("approve", one.outreach, "--key", key, "--yes", "--json"))):
                again += 1
            if said == "accepted":
                accepted.append(one)
            elif said != "ended":
                seen.wrong(f"approve {one.outreach}: {said}")

    with commands(place) as by:
        while killed < kills:
            waiting = [await place.tell(1, approve=False) for _ in range(min(BATCH, kills - killed + AT_ONCE))]
            for one in waiting:
                await place.planned(one)
            told += waiting
            left = list(waiting)
            crew = [asyncio.create_task(approve(left, by)) for _ in range(AT_ONCE)]
            while killed < kills and not all(task.done() for task in crew):
                await asyncio.sleep(0.01)
                if not by.noted:
                    continue
                await asyncio.sleep(dice.uniform(0, 0.2))
                place.kill_temporal()
                met = {process for process in by.noted if alive(process)}
                killed += bool(met)
                await place.start_temporal()
                if met:  # the next death is another decision's
                    await until(lambda: not all(alive(process) for process in met), 60)  # noqa: B023 - awaited here
            await asyncio.gather(*crew)
    seen.fault("temporal killed during approvals", killed)
    found = [await decided(place, one) for one in accepted]
    result = Approved(
        kills=killed,
        accepted=len(accepted),
        again=again,
        missing=sum(min(counts) == 0 for counts in found),
        twice=sum(max(counts) > 1 for counts in found),
    )
    if result.missing or result.twice:
        seen.wrong(result.line())
    else:
        seen.saw(await place.outcome(told))
    return result


def approver(place: Place) -> str:
    """Registers somebody who has a key file as ssh-keygen makes it, and returns its path."""
    key = place.folder / "key-eve"
    if not key.exists():
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "eve", "-f", str(key)]
        subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
        with place.approvers.open("a") as file:
            file.write(
                '[[people]]\nprincipal = "eve"\nteam = "support"\ninternal = true\nroles = ["Service lead"]\n'
                f'[[people.keys]]\nkey = "{key.with_suffix(".pub").read_text().strip()}"\n'
            )
    return str(key)


def meaning(said: Said) -> str:
    """Returns whether a command reported a decision as accepted, nothing where it said to run it again."""
    if said.out:
        answer = json.loads(said.out)
        return "accepted" if answer["accepted"] else str(answer)
    if "the outreach ended as" in said.err:
        return "ended"  # it counted, though nobody could tell whoever decided
    return "" if any(words in said.err for words in AGAIN) else said.err


async def decided(place: Place, told: Told) -> tuple[int, int]:
    """Counts how often a decision was accepted in the database, and in the workflow's history."""
    records = [one for one in place.decisions.received(told.outreach) if one.accepted]
    return len(records), answers(await place.handle(told).fetch_history())


def answers(history: WorkflowHistory) -> int:
    """Counts the decisions that a workflow answered as accepted."""
    updates = (event.workflow_execution_update_completed_event_attributes for event in history.events)
    payloads = (payload for update in updates for payload in update.outcome.success.payloads)
    return sum(bool(json.loads(payload.data).get("accepted")) for payload in payloads)


ROUNDS: tuple[Callable[[Place, Tallies, Random], Awaitable[Any]], ...] = (deaths, deaths, approvals)
