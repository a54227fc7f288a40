"""Upkeep: providers are asked about what they never reported on, and what was worked off is tidied away."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime
from temporalio import activity

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.measuring import Measuring
from tellfirst.channels.base import Adapter
from tellfirst.domain.base import Frozen
from tellfirst.domain.receipt import Receipt
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.inbox import Inbox
from tellfirst.store.receipts import Receipts, SilentSend
from tellfirst.store.replies import Replies
from tellfirst.store.retention import Emptied, Retention

AGES = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
"""How long after its acceptance a message without a final receipt is asked about."""
GIVE_UP_AFTER = 20
"""A provider that answers none of so many questions in a row is left alone until the next round."""
PAGE = 500
KEEP_ARRIVALS = timedelta(days=30)
RETENTION_BATCHES = 100
"""Of 500 rows each: a round takes seconds, and a million recipients are emptied within half a day."""


class UpkeepRequest(Frozen):
    """Asks to go on from where the last round ended."""

    since: AwareDatetime
    until: AwareDatetime


class UpkeepReport(Frozen):
    """Counts what was asked and what was answered, which outcomes were looked at again, and what went for its age."""

    asked: int
    answered: int
    recounted: int = 0
    emptied: Emptied = Emptied()


class UpkeepActivities:
    """Keeps what is known of messages up to date where receipts failed to come."""

    def __init__(
        self,
        *,
        receipts: Receipts,
        arrivals: Arrivals,
        inbox: Inbox,
        replies: Replies,
        retention: Retention,
        measuring: Measuring,
        adapters: Mapping[str, Adapter],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._receipts, self._arrivals, self._inbox, self._replies = receipts, arrivals, inbox, replies
        self._retention = retention
        self._measuring, self._adapters, self._loop = measuring, adapters, loop

    @activity.defn(no_thread_cancel_exception=True)
    def upkeep(self, request: UpkeepRequest) -> UpkeepReport:
        """Asks about every message that came to one of the ages since the last round; asked again nothing changes."""
        with told_plainly():
            clock = AttemptClock()
            self._arrivals.forget(before=clock.now() - KEEP_ARRIVALS)
            self._inbox.tidy(now=clock.now())
            self._replies.tidy(now=clock.now())
            asked = answered = 0
            for channel, adapter in self._adapters.items():
                unanswered = 0
                for sends in self._silent(channel, adapter, request):
                    if unanswered >= GIVE_UP_AFTER:
                        break
                    for send, said in zip(sends, self._ask(adapter, sends), strict=True):
                        self._take(send, said, now=clock.now())
                        unanswered = 0 if said else unanswered + 1
                        asked, answered = asked + 1, answered + bool(said)
                    beat(asked)
            recounted = self._recount(request)
            return UpkeepReport(asked=asked, answered=answered, recounted=recounted, emptied=self._empty())

    def _empty(self) -> Emptied:
        emptied = self._retention.tidy(now=AttemptClock().now(), batches=RETENTION_BATCHES, beat=beat)
        if emptied != Emptied():
            told = ", ".join(f"{count:,} {name}" for name, count in emptied.model_dump().items())
            activity.logger.info("personal data removed for its age: %s", told)
        return emptied

    def _recount(self, request: UpkeepRequest) -> int:
        recounted = 0
        for outreach in self._measuring.recount(since=request.since, at=AttemptClock().now()):
            beat(outreach)
            recounted += 1
        return recounted

    def _silent(self, channel: str, adapter: Adapter, request: UpkeepRequest) -> Iterator[list[SilentSend]]:
        for age in AGES:
            after: SilentSend | None = None
            while sends := self._receipts.silent(
                channel, adapter.name, request.since - age, request.until - age, after=after, limit=PAGE
            ):
                yield from (sends[at : at + adapter.in_flight] for at in range(0, len(sends), adapter.in_flight))
                after = sends[-1]

    def _ask(self, adapter: Adapter, sends: Sequence[SilentSend]) -> list[tuple[str, str] | None]:
        async def all_of_them() -> list[tuple[str, str] | None]:
            return await asyncio.gather(*(adapter.status(send.provider_id) for send in sends))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()

    def _take(self, send: SilentSend, said: tuple[str, str] | None, *, now: datetime) -> None:
        """Keeps an answer as the receipt that it stands for; without one, what was kept before is judged once more."""
        if said is None:
            self._receipts.judge_again(send, now=now)
            return
        status, error = said
        receipt = Receipt(
            provider=send.provider, provider_id=send.provider_id, status=status, error=error[:16], send=send.id
        )
        self._receipts.take(receipt, now=now)
