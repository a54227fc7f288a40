"""Answers: recorded once, and nothing once settled ever moves again."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import update

from tellfirst.domain.message import SendState
from tellfirst.store.doubts import Settlement
from tellfirst.store.sends import Tally, send_id
from tellfirst.store.tables import LeaseRow, SendRow
from tests.store.desk import INITIAL, TERMINAL, Desk, step
from tests.store.make import HOUR, NOON, OUTREACH


def test_answers_are_recorded_with_what_left(desk: Desk) -> None:
    token = desk.open()
    desk.intend(token)
    a, b, c, *_ = desk.rows()
    desk.sends.settle(
        INITIAL,
        token,
        [
            Settlement(id=a.id, state=SendState.ACCEPTED, provider_id="p-1"),
            Settlement(id=b.id, state=SendState.INTENT, reason="ambiguous:timeout"),
            Settlement(id=c.id, state=SendState.PLANNED, reason="not_sent:429"),
        ],
        {a.id: "digest-a", b.id: "digest-b"},
        now=NOON + HOUR,
    )
    a, b, c, *_ = desk.rows()
    assert (a.state, a.provider_id, a.settled_at, a.body_digest) == ("accepted", "p-1", NOON + HOUR, "digest-a")
    assert (b.state, b.reason, b.settled_at, b.body_digest) == ("intent", "ambiguous:timeout", None, "digest-b")
    assert (c.state, c.reason, c.attempts) == ("planned", "not_sent:429", 1)
    tally = desk.sends.tally(OUTREACH, page=INITIAL)
    assert tally == Tally(planned=1, accepted=1, in_doubt=4)


def test_tally_is_of_a_step_or_of_all(told: Desk) -> None:
    told.open(step("update-1"), kind="update")
    first = Tally(accepted=2, failed=2, unknown=1, in_doubt=1)
    assert told.sends.tally(OUTREACH, step="initial") == told.sends.tally(OUTREACH, page=INITIAL) == first
    assert told.sends.tally(OUTREACH) == first.model_copy(update={"planned": 2})
    assert told.sends.tally("outreach/other") == Tally()


@pytest.mark.parametrize("state", [*TERMINAL, SendState.PLANNED])
def test_only_an_intent_can_be_settled(desk: Desk, state: SendState) -> None:
    token = desk.open()
    row = desk.rows()[0]
    desk.set_state(row.id, state)
    before = desk.rows()
    for to in SendState:
        moved = [Settlement(id=row.id, state=to, reason="late", provider_id="p-9")]
        desk.sends.settle(INITIAL, token, moved, {row.id: "other"}, now=NOON)
        assert desk.doubts.resolve(moved, now=NOON) == 0
    assert desk.rows() == before


MOVES = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(list(SendState)), st.sampled_from(["settle", "resolve", "intend", "reopen"])
    ),
    max_size=25,
)


@given(MOVES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_moves_a_terminal_state(desk: Desk, moves: list[tuple[int, SendState, str]]) -> None:
    with desk.database.write() as session:
        session.execute(update(SendRow).values(state=SendState.PLANNED, intent_at=None, deferred_until=None))
        session.execute(update(LeaseRow).values(expires_at=NOON))
    token = desk.open()
    sends = desk.sends.planned(INITIAL, 3)
    ended: dict[str, str] = {}
    for number, state, way in moves:
        one = [Settlement(id=sends[number].id, state=state, reason=way)]
        if way == "settle":
            desk.sends.settle(INITIAL, token, one, {}, now=NOON)
        elif way == "resolve":
            desk.doubts.resolve(one, now=NOON)
        elif way == "intend":
            assert not set(desk.intend(token, sends)) & set(ended)
        else:
            desk.leases.release(INITIAL, token, now=NOON)
            token = desk.open(retry=True)
        now = {row.id: row.state for row in desk.rows()}
        assert {id_: now[id_] for id_ in ended} == ended
        ended.update({id_: s for id_, s in now.items() if s in TERMINAL})


def test_send_id_is_the_same_for_every_attempt() -> None:
    # Written down: a release that made another id would send again what the one before it sent.
    assert send_id("outreach/late_delivery/k-1/1", 1, 7, "initial", "sms") == "05962ad76b2571a2d21d5048bab73136"


KEYS = st.tuples(
    st.sampled_from(["outreach/a/k/1", "outreach/a/k/11", "outreach/a/k|1/1"]),
    st.integers(1, 30),
    st.integers(0, 300),
    st.sampled_from(["initial", "update-1", "update-11", "resolved"]),
    st.sampled_from(["sms", "email"]),
)


@given(KEYS, KEYS)
def test_send_ids_differ(one: tuple[str, int, int, str, str], other: tuple[str, int, int, str, str]) -> None:
    assert (send_id(*one) == send_id(*other)) is (one == other)


def test_send_id_says_nothing_of_its_send() -> None:
    made = send_id(OUTREACH, 1, 7, "initial", "sms")
    assert len(made) == 32
    assert set(made) <= set("0123456789abcdef")
