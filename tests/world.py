"""A whole small installation for tests: wired by the function production uses, with fakes passed in."""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tellfirst import contract
from tellfirst.channels.base import Adapter
from tellfirst.client import OutreachClient
from tellfirst.contract import DecisionEnvelope, Result
from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.playbooks.loader import LIBRARY, LoadedPlaybook, load_library, parse
from tellfirst.settings import Settings
from tellfirst.store.contacts import Contacts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.decisions import Decisions
from tellfirst.store.escalations import Escalations
from tellfirst.store.notices import Notices
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.recipients import Recipients
from tellfirst.store.sends import Sends
from tests.empty import place_database
from tests.signing.make import Signer, ed25519, envelope
from workers.__main__ import come_to_rest
from workers.pool import workers
from workers.wiring import Application, build

OPEN_HOURS = Path(__file__).parent / "hours.toml"
HISTORIES = Path(__file__).parent / "replay" / "histories"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


class FakeProvider:
    """Is an adapter that remembers what it was asked to send; `answers` are given in turn, then it accepts."""

    idempotency = "lookup"
    key_window = timedelta(0)

    def __init__(self, name: str = "fake", in_flight: int = 8) -> None:
        self.name, self.in_flight = name, in_flight
        self.sent: list[Outbound] = []
        self.answers: list[AnswerKind] = []
        self.knows: dict[str, str] = {}
        self.statuses: dict[str, tuple[str, str]] = {}
        self.wait_after: tuple[int, asyncio.Event] | None = None
        self.busy = False

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        given = []
        self.busy = True
        if self.wait_after is not None and len(self.sent) >= self.wait_after[0]:
            await self.wait_after[1].wait()
        for message in batch:
            kind = self.answers.pop(0) if self.answers else AnswerKind.ACCEPTED
            if kind in (AnswerKind.ACCEPTED, AnswerKind.AMBIGUOUS):
                self.sent.append(message)
            provider_id = f"p-{message.send_id}" if kind is AnswerKind.ACCEPTED else ""
            given.append(Answer(send_id=message.send_id, kind=kind, provider_id=provider_id, detail="fake"))
        self.busy = False
        return given

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        if message.send_id not in self.knows:
            return None
        return Answer(send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=self.knows[message.send_id])

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        return self.statuses.get(provider_id)

    async def close(self) -> None:
        return None


@cache
def holding_nobody_out() -> Mapping[str, LoadedPlaybook]:
    """Returns the shipped playbooks without their hold-outs, read once: each world would take half a second for it."""
    return {
        trigger: parse(re.sub(r"holdout = [\d.]+", "holdout = 0", loaded.text), "test")
        for trigger, loaded in load_library([LIBRARY]).items()
    }


class World:
    """Is one installation: its folder, database, playbooks, approver, providers and workers."""

    def __init__(
        self,
        env: WorkflowEnvironment,
        folder: Path,
        *,
        loop: asyncio.AbstractEventLoop,
        library: Mapping[str, LoadedPlaybook] | None = None,
    ) -> None:
        self.env, self.folder, self.loop = env, folder, loop
        self.key = f"sweep-{uuid4().hex[:12]}"
        self.ana, self.ben = ed25519(), ed25519()
        self.registry = folder / "approvers.toml"
        self.registry.write_text(_registry(self.ana, self.ben))
        self.sms, self.email, self.in_app = (FakeProvider(n) for n in ("sms", "email", "in_app"))
        self.settings = Settings.load(
            environment="test",
            data_dir=folder,
            approvers=self.registry,
            hours=OPEN_HOURS,
            reconcile_seconds=5.0,
            lease_seconds=12.0,
            _env_file=None,
        )
        place_database(folder / "tellfirst.db")
        # One customer in ten would be held out by chance; what tests the hold-out asks for one.
        self.library: dict[str, LoadedPlaybook] = dict(library or holding_nobody_out())
        self.more: dict[str, Adapter] = {}
        self.app: Application | None = None
        self.client = OutreachClient(env.client)
        self._started: list[WorkflowHandle[Any, Any]] = []
        self._workers: list[Any] = []

    # -- life

    async def __aenter__(self) -> "World":
        fakes: dict[str, Any] = {"sms": self.sms, "email": self.email, "in_app": self.in_app}
        adapters: Mapping[str, Adapter] = {**fakes, **self.more}
        self.app = build(self.settings, loop=self.loop, adapters=adapters, library=self.library)
        database = self.app.database
        self.customers, self.outreaches, self.recipients = (
            Customers(database),
            Outreaches(database),
            Recipients(database),
        )
        self.sends, self.decisions, self.contacts = Sends(database), Decisions(database), Contacts(database)
        self.outcomes, self.controls = Outcomes(database), Controls(database)
        self.notices, self.escalations = Notices(database), Escalations(database)
        await self.work()
        return self

    async def __aexit__(self, *_: object) -> None:
        for handle in self._started:
            with contextlib.suppress(RPCError):  # most are closed already
                await handle.terminate("the test is over")
        await self.rest()
        assert self.app is not None
        await self.app.close()

    async def work(self, graceful: timedelta = timedelta(seconds=1)) -> None:
        """Starts the workers; once they stop, what they do has so long to end by itself."""
        assert self.app is not None
        self._workers = workers(self.app, self.env.client, graceful=graceful)
        self._running = [asyncio.create_task(worker.run()) for worker in self._workers]

    async def rest(self) -> None:
        """Stops the workers."""
        if not await come_to_rest(self._workers, self._running, within=30):
            for task in self._running:
                task.cancel()
        self._workers, self._running = [], []

    async def without(self, queue: str) -> None:
        """Goes on without the worker of one queue."""
        await next(worker for worker in self._workers if worker.task_queue == queue).shutdown()

    async def with_source(self, url: str) -> None:
        """Goes on with an operational source."""
        await self.with_settings(source_url=url)

    async def with_settings(self, **changed: object) -> None:
        """Goes on with other settings."""
        await self.rest()
        assert self.app is not None
        await self.app.close()
        self.settings = self.settings.model_copy(update=changed)
        await self.__aenter__()

    def override(self, trigger: str, replace: dict[str, str]) -> None:
        """Replaces texts of a playbook, in place."""
        self.library[trigger] = self.playbook(trigger, replace)

    def hold_out(self, share: float) -> None:
        """Holds out a share of those whose parcel is late."""
        self.override("late_delivery", {"holdout = 0\n": f"holdout = {share}\n"})

    async def keep_history(self, outreach: str, name: str) -> None:
        """Writes the history for tests/replay, when asked to by TELLFIRST_RECORD."""
        if os.environ.get("TELLFIRST_RECORD"):
            history = (await self.env.client.get_workflow_handle(outreach).fetch_history()).to_json()
            # Nothing of the machine that recorded it.
            history = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
            history = re.sub(r'"\d+@[^"]*"', '"worker"', history).replace(str(self.folder), "/data")
            (HISTORIES / f"{name}.json").write_text(history + "\n")

    # -- doing

    def customer(self, ref: str = "c-1", **more: Any) -> None:
        """Adds a customer with an SMS address."""
        number = f"+1415555{abs(hash(ref)) % 10_000:04d}"
        given = {"addresses": {"sms": number}, **more}
        self.customers.save([CustomerRecord(id=ref, **given)], now=datetime.now(UTC), source="test")

    def late(self, *subjects: str, key: str = "", detected_at: datetime | None = None, **facts: Any) -> Condition:
        """Returns a condition of late parcels, one customer `c-N` per subject `o-N`."""
        return Condition(
            trigger="late_delivery",
            key=key or self.key,
            detected_at=detected_at or datetime.now(UTC),
            subjects=tuple(
                Subject(
                    key=name,
                    customer=name.replace("o-", "c-"),
                    facts={"order_id": name, "promised_at": "2026-11-20", **facts},
                )
                for name in (subjects or ("o-1",))
            ),
        )

    def playbook(self, trigger: str, replace: dict[str, str]) -> LoadedPlaybook:
        """Returns a playbook whose text has each key replaced by its value."""
        text = self.library[trigger].text
        for old, new in replace.items():
            assert old in text
            text = text.replace(old, new)
        return parse(text, "test")

    async def start(self, condition: Condition) -> WorkflowHandle[Any, Any]:
        """Starts an outreach with its clock held."""
        with self.env.with_time_skipping_disabled():
            started = await self.client.start(condition)
        handle = self.env.client.get_workflow_handle(started.outreach, result_type=Result)
        self.ends(handle)
        return handle

    def ends(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Ends a workflow with the test."""
        self._started.append(handle)

    def envelope(
        self,
        outreach: str,
        decision: str = "approve",
        *,
        revision: int = 1,
        signer: Signer | None = None,
        approver: str = "ana",
        issued_at: datetime | None = None,
    ) -> DecisionEnvelope:
        """Returns a signed decision on a revision as it stands in the database."""
        record = self.outreaches.revision(outreach, revision)
        assert record is not None, "not planned yet"
        document = record.proposal.decide(decision, approver, issued_at or record.plan.planned_at)  # type: ignore[arg-type]
        return envelope(signer or self.ana, document)

    async def planned(self, outreach: str, revision: int = 1) -> None:
        """Waits until a revision can be decided."""
        await self.until(lambda: self.outreaches.revision(outreach, revision) is not None)

    async def approve(self, outreach: str, revision: int = 1) -> contract.DecisionAnswer:
        """Approves a revision as Ana."""
        await self.planned(outreach, revision)
        answer = await self.client.submit(outreach, self.envelope(outreach, revision=revision))
        assert answer.accepted, answer
        return answer

    async def until(self, condition: Any, seconds: float = 60.0) -> None:
        """Waits until something holds; fails when it does not in time, and tells where everything stood."""
        deadline = self.loop.time() + seconds
        while not condition():
            if self.loop.time() >= deadline:
                raise AssertionError(f"it did not happen in time: {await self._standing()}")
            await asyncio.sleep(0.02)

    async def _standing(self) -> list[str]:
        told = []
        for handle in self._started:
            described = (await handle.describe()).raw_description
            pending = [
                f"{a.activity_type.name} attempt {a.attempt} {a.last_failure.message} by {a.last_worker_identity}"
                for a in described.pending_activities
            ]
            events = [event.event_type async for event in handle.fetch_history_events()]
            told.append(f"{handle.id} {pending} task={described.pending_workflow_task} events={events[-12:]}")
        return told

    async def finish(self, handle: WorkflowHandle[Any, Any]) -> Result:
        """Lets time pass until the outreach ends, and returns its result."""
        with contextlib.suppress(RPCError):  # it may have ended already
            await self.env.fast_forward(handle)
        result: Result = await handle.result()
        return result

    async def pass_time(self, handle: WorkflowHandle[Any, Any], **of: float) -> None:
        """Lets time pass for this outreach."""
        await self.env.fast_forward(handle, timedelta(**of))

    async def stage(self, handle: WorkflowHandle[Any, Any], *wanted: contract.Stage) -> None:
        """Waits until the outreach stands at a stage, or at one of several."""
        for _ in range(400):
            if (await self.client.view(handle.id)).stage in wanted:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"it stands at {(await self.client.view(handle.id)).stage}, not at {wanted}")

    async def stuck(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Waits until a person is needed, however far that has climbed meanwhile."""
        await self.stage(handle, contract.Stage.NEEDS_ATTENTION, contract.Stage.ESCALATED)

    async def status(self, handle: WorkflowHandle[Any, Any], revision: int, wanted: str) -> None:
        """Waits until the outreach says that a revision stands so."""
        for _ in range(400):
            revisions = (await self.client.view(handle.id)).revisions
            if any(r.number == revision and r.status == wanted for r in revisions):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"revision {revision} is not {wanted}: {revisions}")

    def contacts_known(self) -> None:
        """Says that every contact of all time is here."""
        self.contacts.save([], source="helpdesk", through=FAR, now=FAR)

    async def history(self, handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
        """Returns the history of a run as JSON."""
        return json.loads((await handle.fetch_history()).to_json())  # type: ignore[no-any-return]


def _registry(ana: Signer, ben: Signer) -> str:
    return "".join(
        f"""
[[people]]
principal = "{name}"
team = "support"
internal = true
roles = ["Service lead", "Reliability lead", "Billing lead"]
[[people.keys]]
key = "{signer.line}"
"""
        for name, signer in (("ana", ana), ("ben", ben))
    )
