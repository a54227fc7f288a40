"""Receipts that wait at one time are kept in one transaction; each is answered when that has been committed."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from tellfirst.domain.receipt import Receipt
from tellfirst.store.receipts import Receipts

PAUSE = 0.1
"""Seconds for which receipts gather while many come: a transaction and its disk write cost the same for all of them."""
MOST = 500
"""Receipts of one transaction."""


class Gathering:
    """Takes receipts together: one alone waits for nobody, those that come while others are kept wait together."""

    def __init__(self, receipts: Receipts, *, clock: Callable[[], datetime]) -> None:
        self._receipts, self._clock = receipts, clock
        self._waiting: list[tuple[Receipt, asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def take(self, receipt: Receipt) -> None:
        """Returns when a receipt is committed; raises what its transaction raised."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, kept))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        await kept

    async def _work(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._keep(some)
                if len(some) > 1:
                    await asyncio.sleep(PAUSE)
        finally:
            self._working = None

    async def _keep(self, some: list[tuple[Receipt, asyncio.Future[None]]]) -> None:
        failed: Exception | None = None
        try:
            await run_in_threadpool(self._receipts.take_all, [receipt for receipt, _ in some], now=self._clock())
        except Exception as error:
            failed = error
        for _, kept in some:
            if kept.done():
                continue  # whoever posted it has gone
            if failed is None:
                kept.set_result(None)
            else:
                kept.set_exception(failed)
