"""Every way a request for an exception can end, on the real server; each history is what tests/replay replays."""

from collections.abc import Awaitable, Callable

import pytest

from tellfirst.contract import ExceptionResult, ExceptionView, Stage, exception_id
from tellfirst.signing.documents import digest
from tellfirst.store.exceptions import Spent
from tests.workflows.counter import Counter
from tests.world import World

Story = Callable[[Counter], Awaitable[ExceptionResult]]


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
    assert counter.answers() == [
        f"We have credited €15.00 to your account, reference {counter.request}. You don't need to do anything."
    ]
    return result


async def by_two(counter: Counter) -> ExceptionResult:
    handle = await counter.put(amount_minor=4_000)
    await counter.pending()
    signed = counter.signed("approve", None, "ana", "")
    for _ in range(2):
        answer = await counter.world.client.submit(exception_id(counter.request), signed)
        assert (answer.accepted, answer.status) == (True, "pending"), "the same signature twice is one"
        assert counter.carried_out() == []
    prior = counter.world.decisions.approvals(exception_id(counter.request))[0]
    document = (prior.envelope or {})["document"]
    second = await counter.decide(signer=counter.world.ben, name="ben", prior=digest(document))  # type: ignore[arg-type]
    assert second.status == "approved", second
    result = await handle.result()
    assert len(counter.carried_out()) == 1
    return result


async def rejected(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    assert (await counter.decide("reject")).accepted
    return await handle.result()


async def expired(counter: Counter) -> ExceptionResult:
    handle = await counter.put()
    await counter.pending()
    await counter.world.pass_time(handle, hours=3)

    def notices() -> list[str]:
        return [n.kind for n in counter.world.notices.of(handle.id)]

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
    counter.revoke()
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
