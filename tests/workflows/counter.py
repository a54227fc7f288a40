"""The counter: where the tests put customers' requests, grant them, and see what became of them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.client import WorkflowHandle
from temporalio.testing import ActivityEnvironment

from tellfirst.contract import DecisionAnswer, DecisionEnvelope, ExceptionAsked, ExceptionResult, exception_id
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import decide
from tellfirst.store.exceptions import Exceptions, Spent
from tellfirst.store.matters import Matters
from tests.signing.make import Signer, envelope
from tests.world import World

T = TypeVar("T")


class Counter:
    """Is where customers' requests are put and granted: an outreach that one customer was told by."""

    def __init__(self, world: World) -> None:
        assert world.app is not None
        self.world = world
        self.exceptions = Exceptions(world.app.database)
        self.matters = Matters(world.app.database)
        self.request = f"r-{uuid4().hex[:12]}"
        self.outreach = ""

    async def open(self, *customers: str) -> None:
        """Starts the outreach, and waits until it is planned."""
        for name in customers or ("c-1",):
            self.world.customer(name)
        handle = await self.world.start(self.world.late(*(n.replace("c-", "o-") for n in customers or ("c-1",))))
        await self.world.planned(handle.id)
        self.outreach = handle.id

    def asked(self, **changed: Any) -> ExceptionAsked:
        given = {
            "request": self.request,
            "outreach": self.outreach,
            "customer": "c-1",
            "kind": "goodwill_credit",
            "amount_minor": 1_500,
            "currency": "EUR",
            "requester": "zoe",
        }
        return ExceptionAsked.model_validate({**given, **changed})

    async def put(self, **changed: Any) -> WorkflowHandle[Any, ExceptionResult]:
        """Puts the request with its clock held."""
        with self.world.env.with_time_skipping_disabled():
            id_ = await self.world.client.ask(self.asked(**changed))
        handle = self.world.env.client.get_workflow_handle(id_, result_type=ExceptionResult)
        self.world._started.append(handle)
        return handle

    async def pending(self) -> None:
        """Waits until the request can be decided."""
        await self.world.until(lambda: self.matters.get(exception_id(self.request)) is not None)

    async def decide(
        self, choice: Choice = "approve", *, signer: Signer | None = None, name: str = "ana", prior: str = ""
    ) -> DecisionAnswer:
        """Decides the request."""
        await self.pending()
        return await self.world.client.submit(exception_id(self.request), self.signed(choice, signer, name, prior))

    def signed(
        self, choice: Choice, signer: Signer | None = None, name: str = "ana", prior: str = "", **more: Any
    ) -> DecisionEnvelope:
        matter = self.matters.get(exception_id(self.request))
        assert matter is not None
        proposal = matter.proposal.model_copy(update=more)
        return envelope(
            signer or self.world.ana, decide(proposal, choice, name, datetime.now(UTC), "", prior).document()
        )

    async def cut_off(self, activity: Callable[[Any], T], request: object) -> T:
        """Does what a worker does that dies before it can tell the workflow, and returns what that never heard."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=datetime.now(UTC))
        return await asyncio.to_thread(environment.run, activity, request)

    def revoke(self, name: str = "ana") -> None:
        """Revokes somebody's key."""
        line = f'key = "{getattr(self.world, name).line}"'
        text = self.world.registry.read_text()
        self.world.registry.write_text(text.replace(line, f"{line}\nrevoked = 2020-01-01T00:00:00Z"))

    def spent(self) -> list[Spent]:
        return [self.exceptions.spent(key) for key in self.exceptions.budgets_of(self.request)]

    def closed(self) -> bool:
        """Says whether the outreach has ended."""
        outreach = self.world.outreaches.get(self.outreach)
        return outreach is not None and outreach.closed_at is not None

    def carried_out(self) -> list[dict[str, Any]]:
        """Returns what another system was asked to do."""
        return [json.loads(path.read_bytes()) for path in (self.world.folder / "exceptions").glob("*.json")]

    def answers(self) -> list[str]:
        return [m.rendered.body for m in self.world.sms.sent if self.request in m.rendered.body]
