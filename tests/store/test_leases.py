"""Leases: one worker a page, and nothing is written by whoever lost it."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from tellfirst.domain.message import SendState
from tellfirst.store.doubts import Settlement
from tellfirst.store.engine import Database
from tellfirst.store.leases import FencedOffError
from tellfirst.store.tables import LeaseRow
from tests.store.desk import INITIAL, LEASE, Desk, step
from tests.store.make import DAY, NOON, at_once, before


def test_page_is_held_until_the_lease_ends(desk: Desk) -> None:
    assert desk.take() == 1
    assert desk.leases.take(INITIAL, now=NOON + LEASE - timedelta(seconds=1), until=NOON + DAY) is None
    assert desk.take(late=LEASE) == 2
    assert desk.take(step("initial", 1)) == 1, "another page is free"


def test_released_page_is_free_at_once(desk: Desk) -> None:
    desk.leases.release(INITIAL, desk.take(), now=NOON)
    assert desk.take() == 2


def test_no_lease_is_believed_for_longer_than_leases_last(desk: Desk) -> None:
    # Whoever took the page had a clock that was set back since: that is how a clock that was wrong is put right.
    key = INITIAL
    assert desk.leases.take(key, now=NOON + DAY, until=NOON + DAY + LEASE) == 1
    assert desk.leases.take(key, now=NOON, until=NOON + LEASE) == 2
    # Clocks that differ by less than a lease are believed.
    assert desk.leases.take(key, now=NOON - LEASE / 2, until=NOON + LEASE / 2) is None


def test_stale_worker_cannot_release_the_page(desk: Desk) -> None:
    stale = desk.take()
    desk.take(late=LEASE)
    desk.leases.release(INITIAL, stale, now=NOON)
    assert desk.leases.take(INITIAL, now=NOON + LEASE, until=NOON + DAY) is None


def test_stale_token_opens_nothing(desk: Desk) -> None:
    stale = desk.take()
    desk.take(late=LEASE)
    with pytest.raises(FencedOffError):
        desk.open(token=stale)
    assert desk.rows() == []


def test_stale_token_intends_nothing(desk: Desk) -> None:
    stale = desk.open()
    desk.take(late=LEASE)
    before = desk.rows()
    with pytest.raises(FencedOffError):
        desk.intend(stale)
    assert desk.rows() == before


def test_stale_token_settles_nothing(desk: Desk) -> None:
    stale = desk.open()
    desk.intend(stale)
    desk.take(late=LEASE * 2)
    done = [Settlement(id=row.id, state=SendState.ACCEPTED) for row in desk.rows()]
    with pytest.raises(FencedOffError):
        desk.sends.settle(INITIAL, stale, done, {}, now=NOON)
    assert set(desk.states().values()) == {SendState.INTENT}


def test_nobody_holds_a_page_that_was_never_taken(desk: Desk) -> None:
    with pytest.raises(FencedOffError):
        desk.open(token=1)


def test_intending_extends_the_lease(desk: Desk) -> None:
    desk.intend(desk.open())
    with desk.database.read() as session:
        assert session.exec(select(LeaseRow.expires_at)).one() == NOON + 2 * LEASE


def test_lease_counts_from_when_the_transaction_is_ours(desk: Desk) -> None:
    if not desk.database.is_sqlite:
        pytest.skip("only on SQLite do writers wait for each other")
    token = desk.open()
    writing, written = threading.Event(), threading.Event()
    too_early: list[bool] = []

    def write() -> None:
        with Database(desk.database.engine).write() as session:  # as another process does
            session.connection()
            writing.set()
            threading.Event().wait(0.3)
            written.set()

    def until() -> datetime:
        too_early.append(not written.is_set())
        return NOON + LEASE

    def intend() -> None:
        writing.wait(5)
        desk.intend(token, lease_until=until)

    at_once([write, intend])
    assert too_early == [False]


def test_page_changes_hands_only_between_transactions(desk: Desk) -> None:
    first = desk.open()
    desk.intend(first)
    done = [Settlement(id=row.id, state=SendState.ACCEPTED) for row in desk.rows()]
    writing = threading.Event()

    def settle() -> None:
        desk.sends.settle(INITIAL, first, done, {}, now=NOON)

    def take_over() -> set[str]:
        writing.wait(5)
        desk.take(late=LEASE * 2)
        return set(desk.states().values())

    with before(desk.database, "UPDATE sends", writing, hold=0.3):
        _, seen = at_once([settle, take_over])
    assert seen == {SendState.ACCEPTED}, "whoever takes over sees everything the one before wrote"


def test_one_of_many_takes_the_page(desk: Desk) -> None:
    for late in (timedelta(0), LEASE):
        now = NOON + late
        tokens = at_once([lambda: desk.leases.take(INITIAL, now=now, until=now + LEASE)] * 12)  # noqa: B023
        assert len([token for token in tokens if token is not None]) == 1
