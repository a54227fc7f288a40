"""A message that goes into the inbox: once, however its delivery was cut off, and what the customer does comes back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlmodel import select

from tellfirst.channels.in_app import InAppInbox
from tellfirst.channels.receipts import judge, meaning
from tellfirst.domain.message import Outbound, SendState
from tellfirst.domain.receipt import Receipt
from tellfirst.store.inbox import Inbox
from tellfirst.store.receipts import Receipts
from tellfirst.store.tables import SendRow
from tests.world import World


class Cut:
    """Is the inbox of a world whose answer is lost `times` times, after it was committed."""

    def __init__(self, world: World, times: int) -> None:
        self.world, self.times, self.asked = world, times, 0

    @property
    def inbox(self) -> Inbox:
        assert self.world.app is not None
        return Inbox(self.world.app.database, timedelta(days=90))

    def deliver(self, messages: Sequence[Outbound], *, now: datetime) -> set[str]:
        there, self.asked = self.inbox.deliver(messages, now=now), self.asked + 1
        if self.asked <= self.times:
            raise ConnectionResetError
        return there

    def standing_of(self, send: str) -> str:
        return self.inbox.standing_of(send)


async def test_a_message_stands_in_the_inbox_once_and_its_reading_comes_back(world: World) -> None:
    shelf = Cut(world, times=2)
    world.in_app = InAppInbox(shelf)  # type: ignore[assignment]
    await world.with_settings()
    assert world.app is not None
    for name in ("c-1", "c-2"):
        world.customer(name, addresses={"in_app": name})
    handle = await world.start(world.late("o-1", "o-2"))
    await world.approve(handle.id)
    await world.until(lambda: world.sends.tally(handle.id).accepted == 2)
    assert shelf.asked > shelf.times
    now = datetime.now(UTC)
    for name in ("c-1", "c-2"):
        (item,) = shelf.inbox.items(name, status="all", now=now, limit=9)
        assert "is late" in item.subject
    (send,) = shelf.inbox.mark("c-1", None, "seen", now=now)
    receipts = Receipts(world.app.database, judge=judge, meaning=meaning)
    receipts.take(Receipt(provider="in_app", provider_id=send, status="delivered", send=send), now=now)
    with world.app.database.read() as session:
        told = {row.customer_id: row.state for row in session.exec(select(SendRow))}
    assert told == {"c-1": SendState.DELIVERED, "c-2": SendState.ACCEPTED}
