"""The life of one outreach in which anything may happen, in any order, on the real server with its virtual clock."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.pages import PageRequest
from tellfirst.channels import receipts
from tellfirst.cli.proof import Prover
from tellfirst.cli.wiring import opened
from tellfirst.contract import DecisionEnvelope
from tellfirst.domain.receipt import Receipt
from tellfirst.errors import NotFoundError
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.signing.kinds import OutreachDecision
from tellfirst.signing.registry import Registry
from tellfirst.store.consents import Consents
from tellfirst.store.customers import CustomerRecord
from tellfirst.store.receipts import Receipts
from tests.properties.oracle import Oracle
from tests.properties.provider import REPLIES, Provider, Reply
from tests.properties.stray import Stray
from tests.signing.make import ed25519, envelope
from tests.workflows.test_life import admit
from tests.world import World

T = TypeVar("T")
MINUTES = (1, 30 * 60, 60, 300)
ENDS_WITHIN = 60.0
CALM_WITHIN = 5.0
whose = st.integers(0, 3)


class Life(RuleBasedStateMachine):
    """Is one outreach to a few people; its class is given the server and the loop that everything runs on."""

    env: ClassVar[WorkflowEnvironment]
    loop: ClassVar[asyncio.AbstractEventLoop]
    library: ClassVar[Mapping[str, LoadedPlaybook]]
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.world = World(self.env, Path(self._folder.name), loop=self.loop, library=self.library)
        self.oracle: Oracle | None = None
        self.strays: list[Stray] = []
        self.people: list[str] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something on the loop that the workers run on."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(ENDS_WITHIN + 30)

    # -- rules

    @initialize(
        people=st.integers(2, 4),
        keyed=st.booleans(),
        mail=st.booleans(),
        replies=st.lists(st.sampled_from(REPLIES), max_size=2),
        approved=st.sampled_from(["good", "stalled", ""]),
    )
    def begin(self, people: int, keyed: bool, mail: bool, replies: list[Reply], approved: str) -> None:
        world = self.world
        world.sms, world.email = Provider("twilio", "sms", keyed=keyed), Provider("sendgrid", "email", keyed=keyed)
        self.mail = mail
        self.do(world.__aenter__())
        self._add(people)
        condition = admit(world, [one.replace("c-", "o-") for one in self.people])
        self.handle = self.do(world.start(condition))
        self.id = self.handle.id
        self.oracle = Oracle(self._database, self.id, (world.sms, world.email))
        self.do(world.planned(self.id))
        world.sms.replies += replies
        if approved == "stalled":
            self._stall()
        if approved:
            self.decide("approve", "good")
        if approved == "stalled":
            self.do(world.until(lambda: world.sms.busy))

    @rule(
        decision=st.sampled_from(["approve", "approve", "approve", "reject", "request_changes"]),
        how=st.sampled_from(
            ["good", "good", "signal", "twice", "raced", "stale", "stranger", "impersonated", "elsewhere", "changed"]
        ),
    )
    def decide(self, decision: str, how: str) -> None:
        oracle, world = self._oracle, self.world
        number = world.outreaches.latest_revision(self.id)
        stale = how == "stale" and number > 1
        number -= stale
        record = world.outreaches.revision(self.id, number)
        if record is None:
            return
        at = self._now()
        document = record.proposal.decide(decision, "ana", at)  # type: ignore[arg-type]
        honest = how in ("good", "signal", "twice", "raced") or (how == "stale" and not stale)
        if honest and decision == "approve":
            oracle.let.add(number)
        answers = self.do(self._hand_in(document, how, at))
        for answer in answers:
            if answer is not None and answer.accepted:
                self.seen[f"{answer.decision} accepted"] += 1
                assert honest or (stale and number in oracle.let), f"{how} was accepted"
        self._calm()

    async def _hand_in(self, document: OutreachDecision, how: str, at: datetime) -> list[Any]:
        world, client = self.world, self.world.client
        good = envelope(world.ana, document)
        if how == "signal":
            with suppress(NotFoundError):
                await client.decide(self.id, good)
            return []
        others: dict[str, DecisionEnvelope] = {
            "stranger": envelope(ed25519(), document.model_copy(update={"approver": "eve"})),
            "impersonated": envelope(ed25519(), document),
            "elsewhere": envelope(world.ana, document.model_copy(update={"outreach": "outreach/late_delivery/k/9"})),
            "changed": good.model_copy(update={"document": {**good.document, "audience_count": 10_000}}),
            "raced": envelope(
                world.ben, document.model_copy(update={"approver": "ben", "decision": "reject", "issued_at": at})
            ),
        }
        first = others.get(how, good) if how != "raced" else good
        return await asyncio.gather(
            self._submit(first), *([self._submit(others.get(how, good))] if how in ("twice", "raced") else [])
        )

    async def _submit(self, decision: DecisionEnvelope) -> Any:
        with suppress(NotFoundError):  # it ended before
            return await self.world.client.submit(self.id, decision)
        return None

    @rule(who=whose, what=st.sampled_from(["stops all", "stops texts", "stops mail", "moves"]))
    def customer(self, who: int, what: str) -> None:
        name, oracle = self.people[who % len(self.people)], self._oracle
        if what != "moves":
            channel = {"stops all": "", "stops texts": "sms", "stops mail": "email"}[what]
            Consents(self._database).opt_out([name], channel=channel, at=self._now(), source="test")
            oracle.stopped.add(name)
            oracle.close(f"opt-out of {name}", lambda row: row.customer_id == name)
            return
        planned = self.world.outreaches.latest_revision(self.id)
        addresses = {"sms": f"+1415666{len(oracle.closed):04d}"}
        record = CustomerRecord(id=name, addresses=addresses)
        self.world.customers.save([record], now=datetime.now(UTC), source="test")
        oracle.moved.add(name)
        oracle.close(
            f"move {len(oracle.closed)} of {name}",
            lambda row: row.customer_id == name and row.channel == "sms" and row.revision <= planned,
        )

    @rule(what=st.sampled_from(["grow", "pause", "resume", "grow", "condition_cleared", "abort"]))
    def happen(self, what: str) -> None:
        client, oracle = self.world.client, self._oracle
        if what == "grow":
            self._add(1)
            admit(self.world, [one.replace("c-", "o-") for one in self.people])
        if what == "resume":
            oracle.closed.pop("held", None)
        happening = "condition_changed" if what == "grow" else what
        with suppress(NotFoundError):
            if what in ("pause", "resume"):
                self.do(client.pause(self.id, paused=what == "pause"))
            else:
                self.do(client.tell(self.id, happening))  # type: ignore[arg-type]
        self._calm()

    @rule(replies=st.lists(st.sampled_from(REPLIES), max_size=4), by_mail=st.booleans(), stalls=st.booleans())
    def provider(self, replies: list[Reply], by_mail: bool, stalls: bool) -> None:
        one = self.world.email if by_mail else self.world.sms
        one.replies += replies  # type: ignore[attr-defined]
        if stalls:
            self._stall()

    @rule(which=st.integers(0, 7), status=st.sampled_from(["undelivered", "delivered", "sent"]))
    def report(self, which: int, status: str) -> None:
        sent = self.world.sms.sent
        if not sent:
            return
        id_ = sent[which % len(sent)].send_id
        if status == "undelivered":
            self._oracle.lost.add(id_)
        kept = Receipts(self._database, judge=receipts.judge, meaning=receipts.meaning)
        told = Receipt(provider="twilio", provider_id=f"p-{id_}", status=status, send=id_)
        kept.take(told, now=datetime.now(UTC))

    @rule(minutes=st.sampled_from(MINUTES))
    def pass_time(self, minutes: int) -> None:
        self._release()
        with suppress(RPCError):
            self.do(self.world.pass_time(self.handle, minutes=minutes))
        self._calm()

    async def _replace(self) -> None:
        stopping = asyncio.create_task(self.world.rest())
        await asyncio.sleep(0)
        self._release()
        await stopping
        await self.world.work()

    @rule(
        what=st.sampled_from(["stray", "wake", "replace", "stray"]),
        step=st.sampled_from(["initial", "update-1", "resolved"]),
        stand_at=st.integers(2, 6),
    )
    def worker(self, what: str, step: str, stand_at: int) -> None:
        """Replaces the workers, or has one that nobody counts on any more send a page, with a rest on its way."""
        if what == "replace":
            self.do(self._replace())
        elif what == "wake":
            self._wake()
        elif not self.strays:
            stalled = not self.world.sms.open.is_set()  # type: ignore[attr-defined]
            # Whoever waits for its provider has lost the page by the time that this one comes by.
            at = self._now() + timedelta(minutes=stalled)
            approved = max(self._oracle.let, default=1)
            self._oracle.astray.add(step)
            request = PageRequest(outreach=self.id, revision=approved, step=step, channel="sms", page=0)
            self.strays.append(Stray(self.world, request, at=at, stand_at=min(stand_at, 3) if stalled else stand_at))
        self._calm()

    # -- what must hold

    @invariant()
    def holds(self) -> None:
        if self.oracle is not None:
            self.seen["steps"] += 1
            self.oracle.check()

    def teardown(self) -> None:
        try:
            if self.oracle is not None:
                self._end()
        finally:
            self._release()
            for stray in self.strays:
                with suppress(Exception):
                    stray.go()
            if self.world.app is not None:
                self.do(self.world.__aexit__())
            self._folder.cleanup()

    def _end(self) -> None:
        world, oracle = self.world, self._oracle
        oracle.check()
        self._wake()
        self._calm()
        oracle.check()
        world.contacts_known()
        for provider in oracle.providers:
            provider.replies.clear()
        self.happen("resume")
        oracle.check()
        result = self.do(asyncio.wait_for(world.finish(self.handle), ENDS_WITHIN))
        oracle.check()
        waiting = oracle.settle()
        self.seen["examples"] += 1
        self.seen["messages"] += sum(len(provider.sent) for provider in oracle.providers)
        self.seen[f"ended {result.ending}"] += 1
        self.seen.update(f"{row.state} {row.reason}".strip() for row in oracle.sends())
        self._prove(waiting)

    def _prove(self, waiting: int) -> None:
        """Has `tellfirst verify` say the same."""
        with opened(self.world.settings) as here:
            registry = Registry.load(self.world.registry)
            proof = Prover(here, lambda: registry, now=self._now(), log=None, step=lambda _: None).prove()
        assert (proof.duplicate, proof.unauthorised, proof.after_optout) == (0, 0, 0), proof
        assert proof.lost <= waiting, proof
        assert proof.audit_ok, proof

    # -- ways

    @property
    def _oracle(self) -> Oracle:
        assert self.oracle is not None
        return self.oracle

    @property
    def _database(self) -> Any:
        assert self.world.app is not None
        return self.world.app.database

    def _add(self, count: int) -> None:
        for number in range(len(self.people), len(self.people) + count):
            addresses = {"sms": f"+14155550{number:03d}"}
            mail = {"email": f"c{number}@example.org"} if self.mail else {}
            self.world.customer(f"c-{number}", addresses={**addresses, **mail})
            self.people.append(f"c-{number}")

    def _now(self) -> datetime:
        return self.do(self.env.get_current_time(self.handle))

    def _release(self) -> None:
        for provider in (self.world.sms, self.world.email):
            if isinstance(provider, Provider):
                self.loop.call_soon_threadsafe(provider.open.set)

    def _stall(self) -> None:
        """Has the providers keep everybody waiting until time passes."""
        for provider in self._oracle.providers:
            self.loop.call_soon_threadsafe(provider.open.clear)

    def _wake(self) -> None:
        self._release()
        while self.strays:
            self.strays.pop().go()
            self.seen["strays"] += 1

    def _calm(self) -> None:
        """Waits until nothing is in work but what waits for its provider or for its time."""
        self.do(self._rested())
        self._oracle.look()

    async def _rested(self) -> None:
        until, calm = self.loop.time() + CALM_WITHIN, 0
        while calm < 2 and self.loop.time() < until:
            await asyncio.sleep(0.01)
            described = (await self.handle.describe()).raw_description
            busy = described.HasField("pending_workflow_task") or any(
                one.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED or not one.attempt > 1
                for one in described.pending_activities
            )
            stalled = not self.world.sms.open.is_set()  # type: ignore[attr-defined]
            calm = 0 if busy and not (stalled and not described.HasField("pending_workflow_task")) else calm + 1
