"""Turns: the loop and the threads of a process work one after the other, and nobody waits for one who waits."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from activities.turns import Turns


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def loop(turns: Turns) -> Iterator[asyncio.AbstractEventLoop]:
    """Runs in a thread of its own."""
    loop = turns.loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def say(word: str) -> str:
    return word


def test_the_loop_waits_until_a_thread_has_thought(turns: Turns, loop: asyncio.AbstractEventLoop) -> None:
    with turns.taken():
        said = asyncio.run_coroutine_threadsafe(say("later"), loop)
        with pytest.raises(TimeoutError):
            said.result(0.1)
    assert said.result(5) == "later"


def test_the_loop_works_while_a_thread_waits_for_it(turns: Turns, loop: asyncio.AbstractEventLoop) -> None:
    with turns.taken():
        said = asyncio.run_coroutine_threadsafe(say("meanwhile"), loop)
        with turns.left():
            assert said.result(5) == "meanwhile"


def test_a_thread_waits_until_the_loop_has_nothing_to_do(turns: Turns, loop: asyncio.AbstractEventLoop) -> None:
    busy, enough, order = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        busy.set()
        enough.wait(5)
        order.append("loop")

    def think() -> None:
        with turns.taken():
            order.append("thread")

    loop.call_soon_threadsafe(work)
    assert busy.wait(5)
    thread = threading.Thread(target=think)
    thread.start()
    thread.join(0.1)
    enough.set()
    thread.join(5)
    assert order == ["loop", "thread"]


def test_a_turn_comes_back_to_who_left_it_and_failed(turns: Turns) -> None:
    other = Future[None]()

    def think() -> None:
        with turns.taken():
            other.set_result(None)

    with turns.taken():
        with pytest.raises(OSError), turns.left():
            raise OSError
        thread = threading.Thread(target=think)
        thread.start()
        with pytest.raises(TimeoutError):
            other.result(0.1)
    other.result(5)
    thread.join()


def test_a_closed_loop_leaves_its_turn(turns: Turns) -> None:
    loop = turns.loop()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    with turns.taken():
        pass
