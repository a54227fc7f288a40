"""A worker that can be caught at each point of a send; in everything else it is `python -m workers`.

`python -m tests.chaos.worker` imports all of it once and forks a worker for each line of its standard input, a JSON
object of what is different in its environment; it answers with the worker's process id. To start one takes half a
second instead of four, and a matrix of faults starts hundreds.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlmodel import Session

from activities.turns import Turns
from tellfirst.channels.base import Adapter, Idempotency
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.verdict import ALLOW, Verdict
from tellfirst.settings import Settings
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.gate_facts import Switches
from tellfirst.store.inbox import Inbox
from tellfirst.store.leases import PageKey
from tellfirst.store.sends import Sends, Tally
from tests.chaos.points import Point, Traps
from tests.chaos.trouble import Trouble
from workers.__main__ import leave, main
from workers.providers import build_adapters
from workers.wiring import Application, build

DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG: nothing of a run that was broken off goes on."""
Judge = Callable[[Switches, dict[str, RowFacts]], dict[str, Verdict] | str]


class TrappedSends(Sends):
    """Is the effect log with traps around its transactions."""

    def __init__(self, database: Database, traps: Traps) -> None:
        super().__init__(database)
        self._traps, self._open = traps, 0

    def in_flight(self) -> int:
        """Returns how many messages of this process have an intent and no result."""
        return self._open

    def intend(self, *args: Any, **kwargs: Any) -> dict[str, str] | str:
        """Commits the intents of a micro-batch."""
        self._traps.passing(Point.BEFORE_INTENT, self.in_flight)
        leaving = super().intend(*args, **kwargs)
        if not isinstance(leaving, str):
            self._open += len(leaving)
        self._traps.passing(Point.AFTER_INTENT, self.in_flight)
        return leaving

    def settle(self, *args: Any, **kwargs: Any) -> None:
        """Commits the answers of a micro-batch."""
        try:
            super().settle(*args, **kwargs)
        finally:
            self._open -= len(args[2])
        self._traps.passing(Point.AFTER_RESULT, self.in_flight)

    def tally(self, outreach: str, *, step: str | None = None, page: PageKey | None = None) -> Tally:
        """Counts the sends, of a page when all is done and only its report is missing."""
        if page is not None:
            self._traps.passing(Point.BEFORE_COMPLETION, self.in_flight)
        return super().tally(outreach, step=step, page=page)


class TrappedAdapter:
    """Is a channel's adapter with traps around its requests."""

    def __init__(self, inside: Adapter, traps: Traps, sends: "list[TrappedSends]") -> None:
        self._inside, self._traps, self._sends = inside, traps, sends
        self.name: str = inside.name
        self.idempotency: Idempotency = inside.idempotency
        self.key_window: timedelta = inside.key_window
        self.in_flight: int = inside.in_flight

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends a batch."""
        self._traps.passing(Point.BEFORE_POST, self._open)
        answers = await self._inside.send(batch, now=now)
        self._traps.passing(Point.AFTER_POST, self._open)
        return answers

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Asks the provider for a message."""
        return await self._inside.look_up(message, since)

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Asks the provider for a status."""
        return await self._inside.status(provider_id)

    async def close(self) -> None:
        """Closes connections."""
        await self._inside.close()

    def _open(self) -> int:
        return sum(one.in_flight() for one in self._sends)


class Resending(TrappedAdapter):
    """Is a control: an answer that says nothing is taken for a message that did not leave."""

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends a batch."""
        answers = await super().send(batch, now=now)
        unsent = {"kind": AnswerKind.NOT_SENT, "retry_after": 0.1}
        return [one.model_copy(update=unsent) if one.kind is AnswerKind.AMBIGUOUS else one for one in answers]


class Keyless(TrappedAdapter):
    """Is a control: what another worker may have sent is asked for again, though the provider keeps no key."""

    def __init__(self, inside: Adapter, traps: Traps, sends: "list[TrappedSends]") -> None:
        super().__init__(inside, traps, sends)
        self.idempotency, self.key_window = "key", timedelta(hours=23)


class Deaf(TrappedSends):
    """Is a control: the gate does not hear what customers say."""

    def intend(self, *args: Any, judge: Judge, **kwargs: Any) -> dict[str, str] | str:
        """Commits the intents of a micro-batch."""

        def unheard(switches: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict] | str:
            return judge(switches, {id_: row.model_copy(update={"consents": ()}) for id_, row in rows.items()})

        return super().intend(*args, judge=unheard, **kwargs)


class Ungated(TrappedSends):
    """Is a control: the gate lets everything pass."""

    def intend(self, *args: Any, judge: Judge, **kwargs: Any) -> dict[str, str] | str:
        """Commits the intents of a micro-batch."""
        return super().intend(*args, judge=lambda _, rows: dict.fromkeys(rows, ALLOW), **kwargs)


class Unkept(Database):
    """Is a database that forgets at once what was written."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yields a session whose work is rolled back."""
        with Session(self.engine.execution_options(writes=True), expire_on_commit=False) as session:
            yield session


class Forgetful(TrappedSends):
    """Is a control: intents are never committed."""

    def intend(self, *args: Any, **kwargs: Any) -> dict[str, str] | str:
        """Forgets the intents of a micro-batch."""
        return Sends(Unkept(self._database.engine)).intend(*args, **kwargs)


def assemble(traps: Traps, settings: Settings, *, loop: asyncio.AbstractEventLoop, turns: Turns) -> Application:
    """Builds the application as a worker does, with traps in it."""
    database = Database(open_engine(settings.database))
    adapters = build_adapters(settings, inbox=Inbox(database, settings.inbox_keep), calls=CallTasks(database))
    logs: list[TrappedSends] = []

    control = os.environ.get("CHAOS_CONTROL", "")
    log, caught_by = LOGS.get(control, TrappedSends), ADAPTERS.get(control, TrappedAdapter)

    def trapped(database: Database) -> Sends:
        logs.append(log(database, traps))
        return logs[-1]

    caught = {channel: caught_by(adapter, traps, logs) for channel, adapter in adapters.items()}
    return build(settings, loop=loop, turns=turns, adapters=caught, sends=trapped)


LOGS: Mapping[str, type[TrappedSends]] = {"deaf": Deaf, "ungated": Ungated, "forgetful": Forgetful}
ADAPTERS: Mapping[str, type[TrappedAdapter]] = {"resend": Resending, "keyless": Keyless}
"""Controls: workers that lack a protection, by what CHAOS_CONTROL names."""


def become_worker(environment: Mapping[str, str]) -> int:
    """Runs a worker in this process and returns its exit code."""
    os.environ.update(environment)
    traps = Traps(Path(os.environ["CHAOS_TRAPS"]))
    Trouble(Path(os.environ["CHAOS_TRAPS"])).listen()
    return main((), assemble=partial(assemble, traps))


def serve() -> None:
    """Forks a worker for each line that comes in, until none does."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's to wait for
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(2, 1)  # what a worker prints is for its log
            code = 1
            try:
                code = become_worker(json.loads(line))
            finally:
                leave(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
