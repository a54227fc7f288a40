"""How fast an outreach leaves and how long the rest takes: told from the rows, and only where they tell it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from tellfirst.domain.message import SendState
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.dashboard import Dashboard
from tellfirst.store.engine import Database
from tellfirst.store.rates import Rates
from tellfirst.store.sending import Sending
from tellfirst.store.tables import ControlRow, OutreachRow, RevisionRow, SendRow
from tellfirst.web.dashboard.sheet import length
from tests.web.mornings import LATE, MINUTE, NOON, Morning

SECOND = timedelta(seconds=1)


class Half:
    """Is an outreach of five pages of ten: two of them left in the last half minute."""

    def __init__(self, database: Database, **more: Any) -> None:
        self.database, self.morning = database, Morning(database)
        self.made = self.morning.outreach(LATE, at=NOON - MINUTE, people=50, pages=5, **more)
        for number in range(5):
            self.morning.page(LATE, number, 10)
        self.morning.people(LATE, {"treated": 20}, {SendState.ACCEPTED: 20}, at=NOON - 30 * SECOND)
        with database.write() as session:
            later = col(SendRow.id).in_([f"s-c-late_delivery-{n}" for n in range(10, 20)])
            session.execute(update(SendRow).where(later).values(page=1))

    def canary(self, pages: int) -> None:
        """Lets so many pages leave before the others."""
        plan = self.made.model_copy(update={"canary": pages}).model_dump(mode="json")
        with self.database.write() as session:
            session.execute(update(RevisionRow).values(plan=plan))

    def change(self, n: int | None = None, **values: Any) -> None:
        """Changes the n-th message, or all."""
        with self.database.write() as session:
            change = update(SendRow).values(**values)
            session.execute(change if n is None else change.where(col(SendRow.id) == f"s-c-late_delivery-{n}"))

    def put(self, step: str, page: int, **states: int) -> None:
        """Puts in messages of a later step."""
        with self.database.write() as session:
            some = session.get(SendRow, "s-c-late_delivery-0")
            assert some is not None
            for n, state in enumerate([state for state, count in states.items() for _ in range(count)]):
                of = {**some.model_dump(), "id": f"{step}-{page}-{n}", "step": step, "state": state, "page": page}
                session.add(SendRow(**{**of, "recipient_id": some.recipient_id + 10 * page + n}))

    def seen(self, rates: dict[str, float] | None = None, *, later: timedelta = timedelta()) -> Sending:
        """Returns how it is leaving."""
        found = Dashboard(self.database, rates).sending(LATE, now=NOON + later)
        assert found is not None
        return found


def test_the_rest_takes_as_long_as_what_left(database: Database) -> None:
    seen = Half(database).seen()
    assert (seen.waiting, seen.lately, seen.left) == (30, 20, 45 * SECOND)
    assert (seen.paced, seen.stopped, seen.deferred) == ("", False, 0)


def test_whatever_was_answered_counts_and_what_is_asked_for_waits(database: Database) -> None:
    half = Half(database)
    for n, state in enumerate((SendState.FAILED, SendState.UNKNOWN, SendState.UNDELIVERED, SendState.DELIVERED)):
        half.change(n, state=state)
    half.change(4, state=SendState.INTENT)
    half.change(5, state=SendState.PLANNED)
    half.change(6, state=SendState.DEFERRED)
    half.change(7, state=SendState.WITHHELD)
    seen = half.seen()
    assert (seen.lately, seen.waiting, seen.deferred) == (16, 32, 1)


def test_a_receipt_of_an_old_message_is_no_sending(database: Database) -> None:
    half = Half(database)
    half.change(intent_at=NOON - 2 * MINUTE, state=SendState.DELIVERED)
    seen = half.seen()
    assert (seen.lately, seen.left, seen.waiting) == (0, None, 30)


@pytest.mark.parametrize(("ago", "known"), [(5, False), (12, True)])
def test_a_few_seconds_tell_nothing(database: Database, ago: int, known: bool) -> None:
    half = Half(database)
    half.change(intent_at=NOON - ago * SECOND, settled_at=NOON - SECOND)
    assert (half.seen().left is not None) == known


def test_nobody_promises_anything_once_it_stands_still(database: Database) -> None:
    seen = Half(database).seen(later=2 * MINUTE)
    assert (seen.lately, seen.left, seen.waiting) == (0, None, 30)


def test_a_set_rate_that_is_slower_decides(database: Database) -> None:
    half = Half(database)
    slow = half.seen({"sms": 0.1})
    assert (slow.left, slow.paced) == (300 * SECOND, "sms")
    assert half.seen({"email": 0.1}).paced == "", "nothing of it leaves there"
    assert half.seen({"sms": 100.0}).left == 45 * SECOND
    Rates(database).change("sms", 0.05, by="pat", at=NOON)
    assert half.seen({"sms": 100.0}).left == 600 * SECOND, "what people set counts before the settings"
    Rates(database).change("sms", 0, by="pat", at=NOON)
    assert half.seen({"sms": 0.1}).left == 45 * SECOND, "0 is no limit"
    assert half.seen({"sms": 0.1}, later=2 * MINUTE).left is None


def test_a_rate_alone_tells_how_long_it_takes_at_least(database: Database) -> None:
    assert Half(database).seen({"sms": 2.0}, later=2 * MINUTE).left == 15 * SECOND


def test_behind_the_first_few_nobody_waits_before_they_are_let_go(database: Database) -> None:
    half = Half(database)
    half.canary(3)
    assert half.seen().waiting == 10
    half.canary(1)
    assert half.seen().waiting == 30


def test_after_its_time_nobody_waits(database: Database) -> None:
    half = Half(database)
    half.change(3, state=SendState.DEFERRED)
    assert half.seen(later=timedelta(days=30)).waiting == 0


def test_an_update_goes_to_those_who_got_the_first_message(database: Database) -> None:
    half = Half(database)
    half.change(12, state=SendState.FAILED)
    half.put("update-1", 0, accepted=7, planned=3)
    assert half.seen().waiting == 30 + 3 + 9
    half.put("update-1", 1, accepted=9)
    assert half.seen().waiting == 30 + 3


def test_of_an_update_whose_time_is_over_only_what_is_planned_waits(database: Database) -> None:
    half = Half(database)
    half.put("update-1", 0, accepted=7, planned=3)
    assert half.seen(later=timedelta(days=30)).waiting == 3


def test_an_update_that_is_over_does_not_wait_for_who_was_reached_afterwards(database: Database) -> None:
    half = Half(database)
    half.put("update-1", 0, accepted=10)
    half.change(intent_at=NOON - 2 * MINUTE)
    assert half.seen().waiting == 30


@pytest.mark.parametrize("what", ["paused", "blocked", "pause all", "channel", "another channel"])
def test_what_stops_it_is_said(database: Database, what: str) -> None:
    half = Half(database)
    with database.write() as session:
        if what == "paused":
            session.execute(update(OutreachRow).values(paused=True))
        elif what == "blocked":
            session.execute(update(OutreachRow).values(blocked="provider_block:30007"))
        else:
            name = {"pause all": PAUSE_ALL, "channel": "channel:sms", "another channel": "channel:email"}[what]
            session.add(ControlRow(name=name, value="x", by="pat", at=NOON))
    assert half.seen().stopped == (what != "another channel")


def test_nothing_is_said_of_what_is_not_leaving(database: Database) -> None:
    board = Dashboard(database)
    assert board.sending(LATE, now=NOON) is None
    half = Half(database, status="pending")
    half.change(state=SendState.WITHHELD)
    assert board.sending(LATE, now=NOON) is None
    half.change(state=SendState.ACCEPTED)
    assert half.seen().waiting == 0
    with database.write() as session:
        session.execute(update(OutreachRow).values(closed_at=NOON))
    assert board.sending(LATE, now=NOON) is None


@pytest.mark.parametrize(
    ("sending", "said"),
    [
        ({"lately": 1_240, "left": timedelta(minutes=3)}, "1,240 in the last minute; 4,000 wait; about 3 min left"),
        ({"lately": 5}, "5 in the last minute; 4,000 wait; time left not known"),
        ({}, "none in the last minute; 4,000 wait; time left not known"),
        (
            {"lately": 60, "left": timedelta(hours=1), "paced": "in_app"},
            "60 in the last minute; 4,000 wait; at least 1 h left, by the rate that is set for in app",
        ),
        ({"lately": 9, "left": timedelta(hours=1), "stopped": True}, "nothing leaves while it is stopped; 4,000 wait"),
        ({"waiting": 0, "deferred": 7}, "none in the last minute; 7 until they may be disturbed"),
        ({"waiting": 0, "lately": 7}, "7 in the last minute"),
    ],
)
def test_how_it_leaves_is_said_and_never_guessed(sending: dict[str, Any], said: str) -> None:
    nothing = {"waiting": 4_000, "deferred": 0, "lately": 0, "left": None, "paced": "", "stopped": False}
    assert Sending.model_validate({**nothing, **sending}).words(length) == said
