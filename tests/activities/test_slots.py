"""Slots: no more are out than there are, many are not passed by few, and who gives up leaves none behind."""

import threading

import pytest

from activities.slots import Slots


def never() -> None:
    pytest.fail("there was nothing to wait for")


class GaveUpError(Exception):
    """Ends the waiting of a test."""


def give_up() -> None:
    raise GaveUpError


@pytest.fixture
def slots() -> Slots:
    return Slots(5, every=0.01)


def test_who_asks_for_more_than_there_are_gets_all(slots: Slots) -> None:
    assert slots.take(9, never) == 5
    with pytest.raises(GaveUpError):
        slots.take(1, give_up)
    slots.give(5)
    assert slots.take(2, never) == 2


def test_who_gives_up_leaves_none_behind(slots: Slots) -> None:
    slots.give(slots.take(3, never))
    three = slots.take(3, never)
    with pytest.raises(GaveUpError):
        slots.take(5, give_up)
    slots.give(three)
    assert slots.take(5, never) == 5


def test_many_are_not_passed_by_few(slots: Slots) -> None:
    first, order, waits = slots.take(4, never), list[int](), threading.Event()

    def take(wanted: int) -> None:
        taken = slots.take(wanted, waits.set)
        order.append(wanted)
        slots.give(taken)

    many = threading.Thread(target=take, args=(5,))
    many.start()
    assert waits.wait(5)
    waits.clear()
    few = threading.Thread(target=take, args=(1,))
    few.start()
    assert waits.wait(5)
    slots.give(first)
    many.join(5)
    few.join(5)
    assert order == [5, 1]
