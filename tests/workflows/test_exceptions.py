"""Every way a request for an exception can end, on the real server; each history is what tests/replay replays."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowHandle

from tellfirst.contract import DecisionAnswer, ExceptionAsked, ExceptionResult, ExceptionView, Stage, exception_id
from tellfirst.domain.message import AnswerKind
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import decide
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.exceptions import Exceptions, Spent
from tellfirst.store.matters import Matters
from tests.channels.test_webhook import SECRET, Receiver
from tests.http_connection import Connection
from tests.signing.make import Signer, ed25519, envelope
from tests.world import World

Story = Callable[["Counter"], Awaitable[ExceptionResult]]


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

    def signed(self, choice: Choice, signer: Signer | None = None, name: str = "ana", prior: str = "", **more: Any):  # type: ignore[no-untyped-def]
        matter = self.matters.get(exception_id(self.request))
        assert matter is not None
        proposal = matter.proposal.model_copy(update=more)
        return envelope(
            signer or self.world.ana, decide(proposal, choice, name, datetime.now(UTC), "", prior).document()
        )

    def spent(self) -> list[Spent]:
        return [self.exceptions.spent(key) for key in self.exceptions.budgets_of(self.request)]

    def carried_out(self) -> list[dict[str, Any]]:
        """Returns what another system was asked to do."""
        return [json.loads(path.read_bytes()) for path in (self.world.folder / "exceptions").glob("*.json")]

    def answers(self) -> list[str]:
        return [m.rendered.body for m in self.world.sms.sent if self.request in m.rendered.body]


@pytest.fixture
def counter(world: World) -> Counter:
    return Counter(world)


async def executed(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    assert (await counter.decide()).status == "approved"
    result = await handle.result()
    assert counter.spent() == [Spent(reserved=0, consumed=1_500)] * 2
    (order,) = counter.carried_out()
    assert order["data"]["amount_minor"] == 1_500
    assert order["data"]["granted_by"] == ["ana"]
    assert counter.answers() == [
        f"We have credited €15.00 to your account, reference {counter.request}. You don't need to do anything."
    ]
    return result


async def by_two(counter: Counter) -> ExceptionResult:
    handle = await counter.put(amount_minor=4_000)
    first = await counter.decide()
    assert (first.accepted, first.status) == (True, "pending")
    assert counter.carried_out() == []
    again = await counter.decide()
    assert again.status == "pending", "the same person twice is one"
    prior = counter.world.decisions.approvals(exception_id(counter.request))[0]
    document = (prior.envelope or {})["document"]
    second = await counter.decide(signer=counter.world.ben, name="ben", prior=digest(document))  # type: ignore[arg-type]
    assert second.status == "approved", second
    result = await handle.result()
    assert counter.carried_out()[0]["data"]["granted_by"] == ["ana", "ben"]
    return result


async def rejected(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    assert (await counter.decide("reject")).accepted
    return await handle.result()


async def expired(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    await counter.pending()
    await counter.world.pass_time(handle, hours=3)
    notices = lambda: [n.kind for n in counter.world.controls.notices(handle.id)]  # noqa: E731
    assert notices() == ["reminder"]
    await counter.world.pass_time(handle, hours=6)
    assert notices() == ["reminder", "overdue"]
    view: ExceptionView = await handle.query("view", result_type=ExceptionView)
    assert (view.stage, view.waiting_on) == (Stage.APPROVAL_OVERDUE, "Service lead")
    await counter.world.pass_time(handle, days=3)
    return await handle.result()


async def refused(counter: Counter) -> ExceptionResult:
    handle = await counter.put(amount_minor=5_001)
    result = await handle.result()
    assert (result.code, result.ask) == ("outside_boundary", "Head of customer service")
    return result


async def withdrawn(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    await counter.pending()
    await handle.cancel()
    return await handle.result()


async def stopped(counter: Counter) -> ExceptionResult:
    """The key is revoked while the other system does not answer; nobody grants it anew."""
    handle = await counter.put()
    await counter.pending()
    blocker = counter.world.folder / "exceptions"
    blocker.touch()
    assert (await counter.decide()).accepted
    await counter.world.until(lambda: counter.spent()[0].consumed == 1_500)
    text = counter.world.registry.read_text()
    line = f'key = "{counter.world.ana.line}"'
    counter.world.registry.write_text(text.replace(line, f"{line}\nrevoked = 2020-01-01T00:00:00Z"))
    await counter.world.pass_time(handle, days=3)
    result = await handle.result()
    assert result.code == "key_revoked"
    assert counter.spent() == [Spent(reserved=0, consumed=1_500)] * 2, "it may have been carried out"
    blocker.unlink()
    return result


STORIES: dict[str, tuple[Story, str]] = {
    "executed": (executed, "executed"),
    "by_two": (by_two, "executed"),
    "rejected": (rejected, "rejected"),
    "expired": (expired, "expired"),
    "refused": (refused, "refused"),
    "withdrawn": (withdrawn, "withdrawn"),
    "stopped": (stopped, "stopped"),
}


@pytest.mark.parametrize("name", STORIES)
async def test_an_ending(counter: Counter, name: str) -> None:
    await counter.open()
    story, ending = STORIES[name]
    result = await story(counter)
    assert result.ending == ending
    record = counter.exceptions.get(counter.request)
    assert record is not None
    assert record.status == ending
    if ending != "executed":
        assert not counter.carried_out()
        assert not counter.answers()
    if ending in ("rejected", "expired", "withdrawn"):
        assert counter.spent() == [Spent(reserved=0, consumed=0)] * 2
    assert counter.world.contacts.known([exception_id(counter.request)]), "asking is contact"
    await counter.world.keep_history(exception_id(counter.request), f"exceptions/{name}")


# -- what an attacker or bad luck may do


async def test_it_is_tried_until_it_is_acknowledged(counter: Counter) -> None:
    """Refused, broken off, throttled: one grant, the same id and the same bytes each time, one answer."""
    receiver = Receiver()
    receiver.statuses = [500, 0, 503, 302]
    server = await asyncio.get_running_loop().create_server(lambda: Connection(receiver.handle), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/grants"
    await counter.world.with_settings(exceptions_webhook=url, exceptions_secret=SecretStr(SECRET))
    counter = Counter(counter.world)
    await counter.open()
    handle = await counter.put()
    assert (await counter.decide()).accepted
    result = await handle.result()
    server.close()
    assert result.ending == "executed"
    assert len(receiver.seen) == 5
    assert {(headers["webhook-id"], body) for headers, body in receiver.seen} == {
        (counter.request, receiver.seen[0][1])
    }
    assert len(counter.answers()) == 1
    assert counter.spent() == [Spent(reserved=0, consumed=1_500)] * 2


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"amount_minor": 1_400}, "stale_content"),
        ({"currency": "USD"}, "stale_content"),
        ({"customer": "c-2"}, "stale_content"),
        ({"answer_digest": "00" * 32}, "stale_content"),
        ({"requester": "ben"}, "stale_content"),
        ({"environment": "production"}, "wrong_environment"),
        ({"nonce": "n-2"}, "stale_content"),
        ({"request": "r-other"}, "wrong_outreach"),
    ],
    ids=str,
)
async def test_a_grant_of_something_else_is_refused(counter: Counter, what: dict[str, Any], code: str) -> None:
    await counter.open()
    await counter.put()
    await counter.pending()
    answer = await counter.world.client.submit(exception_id(counter.request), counter.signed("approve", **what))
    assert (answer.accepted, answer.code) == (False, code)
    assert counter.carried_out() == []
    assert counter.spent() == [Spent(reserved=1_500, consumed=0)] * 2


async def test_requester_and_strangers_grant_nothing(counter: Counter) -> None:
    await counter.open()
    await counter.put(requester="ana")
    assert (await counter.decide()).code == "own_proposal"
    assert (await counter.decide(signer=ed25519())).code == "unknown_key"
    assert (await counter.decide(signer=counter.world.ben)).code == "wrong_person"
    handle = counter.world.env.client.get_workflow_handle(exception_id(counter.request))
    await handle.signal("decide", {"document": {"decision": "approve"}, "signature": "none"})
    await handle.signal("decide", "approve")
    await counter.world.until(lambda: len(counter.world.decisions.received(handle.id)) == 5)
    assert not any(d.accepted for d in counter.world.decisions.received(handle.id))
    assert counter.carried_out() == []


async def test_rows_written_by_hand_carry_nothing_out(counter: Counter) -> None:
    """Somebody who can write to the database, and not sign, raises the amount of what waits, or marks it granted."""
    await counter.open()
    await counter.put()
    await counter.pending()
    assert counter.world.app is not None
    with counter.world.app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE exceptions SET amount_minor = 4000, status = 'granted'")
        session.connection().exec_driver_sql("UPDATE matters SET status = 'approved' WHERE kind = 'exception'")
    answer = await counter.decide()
    assert not answer.accepted
    assert counter.carried_out() == []
    assert counter.answers() == []


async def test_an_opted_out_customer_gets_the_credit_and_no_text(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    counter.world.customers.opt_out(["c-1"], channel="*", purpose="*", at=datetime.now(UTC), source="test")
    assert (await counter.decide()).accepted
    result = await handle.result()
    assert (result.ending, result.answer) == ("executed", "withheld")
    assert len(counter.carried_out()) == 1
    assert counter.answers() == []


async def test_an_answer_in_doubt_is_never_sent_again(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    counter.world.sms.answers = [AnswerKind.AMBIGUOUS]
    assert (await counter.decide()).accepted
    result = await handle.result()
    assert result.answer == "unknown"
    assert len(counter.answers()) == 1
    assert [n.kind for n in counter.world.controls.notices(handle.id)] == ["attention"]


async def test_a_pause_of_everything_holds_it(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    counter.world.controls.turn_on(PAUSE_ALL, "paused", by="ana", at=datetime.now(UTC))
    assert (await counter.decide()).accepted
    await counter.world.pass_time(handle, minutes=5)
    assert counter.carried_out() == []
    assert counter.answers() == []


@pytest.mark.parametrize("start", [None, {}, {"request": "r"}, "text"], ids=str)
async def test_a_malformed_request_is_refused(world: World, start: object) -> None:
    id_ = f"exception/{uuid4().hex}"
    with world.env.with_time_skipping_disabled():
        result: ExceptionResult = await world.env.client.execute_workflow(
            "ExceptionRequest", start, id=id_, task_queue="outreach", result_type=ExceptionResult
        )
    assert (result.ending, result.code) == ("refused", "malformed")
