"""A key is asked for again by whoever gave it, while it is kept, counted from the first request; else doubt stays."""

from datetime import timedelta

import pytest

from tellfirst.domain.message import SendState
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.verdict import Verdict, withhold
from tellfirst.store.doubts import Settlement
from tellfirst.store.gate_facts import Switches
from tellfirst.store.repeats import Repeat
from tests.store.desk import INITIAL, LEASE, Desk
from tests.store.make import NOON

HOUR = timedelta(hours=1)
OVER = 3 * LEASE
"""After so long a page that was held is free again."""


def again(desk: Desk, *, late: timedelta, since: timedelta, adapter: str = "fake") -> int:
    """Opens the page anew after a while, where what was asked for `since` then may be asked for again."""
    token = desk.take(late=late)
    repeat = Repeat(adapter=adapter, since=NOON + since)
    desk.sends.open_page(INITIAL, kind="initial", channel="sms", repeat=repeat, token=token)
    return token


@pytest.mark.parametrize(
    ("since", "adapter", "planned"),
    [
        (timedelta(0), "fake", 6),
        (-23 * HOUR, "fake", 6),
        (timedelta(microseconds=1), "fake", 0),
        (HOUR, "fake", 0),
        (-HOUR, "another", 0),  # a provider that was changed meanwhile knows nothing of the key
    ],
)
def test_only_a_key_that_is_still_kept_is_asked_for_again(
    desk: Desk, since: timedelta, adapter: str, planned: int
) -> None:
    desk.intend(desk.open())
    again(desk, late=OVER, since=since, adapter=adapter)
    sends = desk.sends.planned(INITIAL, 9)
    assert len(sends) == planned
    assert all(send.in_doubt for send in sends)
    assert {row.state for row in desk.rows()} == {SendState.PLANNED if planned else SendState.INTENT}


def test_however_often_it_is_asked_for_the_first_request_counts(desk: Desk) -> None:
    desk.intend(desk.open())
    for n in range(1, 4):
        token = again(desk, late=n * OVER, since=-HOUR)
        desk.intend(token, now=NOON + n * OVER)
    assert {row.intent_at for row in desk.rows()} == {NOON}
    assert {row.attempts for row in desk.rows()} == {4}
    again(desk, late=4 * OVER, since=timedelta(seconds=1))
    assert desk.sends.planned(INITIAL, 9) == []


def test_what_was_provably_not_sent_begins_anew(desk: Desk) -> None:
    token = desk.open()
    desk.intend(token)
    refused = [Settlement(id=row.id, state=SendState.PLANNED, reason="not_sent:429") for row in desk.rows()]
    desk.sends.settle(INITIAL, token, refused, {}, now=NOON)
    assert not any(send.in_doubt for send in desk.sends.planned(INITIAL, 9))
    desk.intend(token, now=NOON + HOUR)
    assert {row.intent_at for row in desk.rows()} == {NOON + HOUR}


def test_what_waits_in_doubt_for_longer_than_its_key_goes_back_into_doubt(desk: Desk) -> None:
    """It was called back, or paused, between being planned again and leaving."""
    desk.intend(desk.open())
    again(desk, late=OVER, since=-HOUR)
    assert len(desk.sends.planned(INITIAL, 9)) == 6
    again(desk, late=2 * OVER, since=HOUR)
    assert desk.sends.planned(INITIAL, 9) == []
    assert {row.state for row in desk.rows()} == {SendState.INTENT}
    assert {row.attempts for row in desk.rows()} == {1}


def test_a_provider_without_keys_is_asked_for_nothing_again(desk: Desk) -> None:
    desk.intend(desk.open())
    again(desk, late=OVER, since=-HOUR)
    desk.open(token=desk.take(late=2 * OVER))
    assert desk.sends.planned(INITIAL, 9) == []
    assert {row.state for row in desk.rows()} == {SendState.INTENT}


def test_what_may_have_left_is_never_said_to_be_withheld(desk: Desk) -> None:
    def stopped(_: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict]:
        return dict.fromkeys(rows, withhold("opted_out"))

    desk.intend(desk.open())
    token = again(desk, late=OVER, since=-HOUR)
    assert desk.intend(token, judge=stopped) == {}
    assert {(row.state, row.reason) for row in desk.rows()} == {(SendState.INTENT, "opted_out")}
