"""A page that waits for its turn hears at once that it is called back, and begins nothing on what it read long ago."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities import dispatch
from tellfirst.contract import Stage
from tellfirst.domain.message import SendState
from tellfirst.store.sends import Sends
from tests.workflows.test_dead_ends import revoke
from tests.workflows.test_sending import people, states
from tests.world import World

SLOW = 0.02
"""Texts a second: the second one would leave after fifty."""


async def test_a_waiting_page_is_called_back_within_seconds(world: World) -> None:
    await world.with_settings(sms_rate=SLOW)
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 1, "planned": 2})
    begun = time.monotonic()
    await world.client.pause(handle.id, paused=True)
    await world.stage(handle, Stage.PAUSED)
    await world.client.pause(handle.id, paused=False)
    await world.stage(handle, Stage.SENDING)
    assert time.monotonic() - begun < 30
    assert len(world.sms.sent) == 1


async def test_a_worker_stops_though_a_page_waits_and_another_goes_on(world: World) -> None:
    await world.with_settings(sms_rate=SLOW)
    await world.rest()
    await world.work(graceful=timedelta(minutes=1))  # nobody calls the page back meanwhile
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 1, "planned": 2})
    begun = time.monotonic()
    await world.rest()
    assert time.monotonic() - begun < 30
    assert len(world.sms.sent) == 1
    await world.work()
    await world.with_settings(sms_rate=None)
    await world.until(lambda: states(world, handle.id) == {"accepted": 3})


class Stopping(Sends):
    """Stops its process for a while after the intents were committed: everything is paused meanwhile."""

    def __init__(self, world: World) -> None:
        assert world.app is not None
        super().__init__(world.app.database)
        self._world, self.stopped = world, 0

    def intend(self, *given: Any, **more: Any) -> dict[str, str] | str:
        found = super().intend(*given, **more)
        if not self.stopped:
            self.stopped += 1
            self._world.controls.pause_all("p-1", by="ana", at=datetime.now(UTC))
            time.sleep(0.3)
        return found


async def test_no_request_begins_on_what_was_read_long_ago(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FRESH", timedelta(seconds=0.2))
    stopping = Stopping(world)
    assert world.app is not None
    monkeypatch.setattr(world.app.dispatch, "_sends", stopping)
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: stopping.stopped and states(world, handle.id) == {"planned": 3})
    await world.stage(handle, Stage.SENDING)
    assert world.sms.sent == []
    assert {s.reason for s in world.sends.states(handle.id) if s.state is SendState.PLANNED} == {"not_sent:late"}
    world.controls.turn_off("pause-all", by="ana", at=datetime.now(UTC))
    await world.pass_time(handle, minutes=2)
    await world.until(lambda: states(world, handle.id) == {"accepted": 3})


class Waiting(Sends):
    """Waits for a while before its first transaction: a key is revoked meanwhile."""

    def __init__(self, world: World) -> None:
        assert world.app is not None
        super().__init__(world.app.database)
        self._world, self.waited = world, 0

    def intend(self, *given: Any, **more: Any) -> dict[str, str] | str:
        if not self.waited:
            self.waited += 1
            revoke(self._world, self._world.ana)
            time.sleep(0.3)
        return super().intend(*given, **more)


async def test_what_was_judged_long_before_the_transaction_is_judged_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "FRESH", timedelta(seconds=0.2))
    waiting = Waiting(world)
    assert world.app is not None
    monkeypatch.setattr(world.app.dispatch, "_sends", waiting)
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert waiting.waited
    assert world.sms.sent == []
    assert states(world, handle.id) == {"planned": 3}
