"""Opening a page: exactly those who should get a step, and what an earlier worker left behind."""

import pytest

from tellfirst.domain.message import SendState
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import SendRow
from tests.store.desk import INITIAL, LEASE, Desk, step
from tests.store.make import NOON


def test_first_message_goes_to_the_treated(desk: Desk) -> None:
    desk.set_recipient("c-1", arm="control")
    desk.set_recipient("c-2", arm=None, withheld="frequency_cap")
    desk.set_recipient("c-3", page=1)
    desk.set_recipient("c-4", revision=2)
    desk.open()
    assert desk.states() == {"c-0": SendState.PLANNED, "c-5": SendState.PLANNED}


def test_opening_again_changes_nothing(desk: Desk) -> None:
    token = desk.open()
    first = desk.rows()
    desk.open(token=token)
    assert desk.rows() == first
    assert len(first) == 6


def test_update_goes_to_those_who_got_the_first_message(told: Desk) -> None:
    told.open(step("update-1"), kind="update")
    assert set(told.states(step("update-1"))) == {"c-0", "c-1"}


def test_update_leaves_out_those_for_whom_it_is_over(told: Desk) -> None:
    told.set_recipient("c-0", cleared_at=NOON)
    told.open(step("update-1"), kind="update")
    assert set(told.states(step("update-1"))) == {"c-1"}


@pytest.mark.parametrize(("state", "gets_update"), [(SendState.ACCEPTED, False), (SendState.WITHHELD, True)])
def test_update_leaves_out_those_who_were_told_the_end(told: Desk, state: SendState, gets_update: bool) -> None:
    told.set_recipient("c-0", cleared_at=NOON)
    told.open(step("resolved"), kind="resolved")
    (row,) = told.rows(step("resolved"))
    told.set_state(row.id, state)
    told.set_recipient("c-0", cleared_at=None)
    told.open(step("update-1"), kind="update")
    assert ("c-0" in told.states(step("update-1"))) is gets_update


def test_end_is_told_to_those_for_whom_it_is_over(told: Desk) -> None:
    for customer in ("c-0", "c-2", "c-3"):
        told.set_recipient(customer, cleared_at=NOON)
    told.open(step("resolved"), kind="resolved")
    assert set(told.states(step("resolved"))) == {"c-0"}


def test_intents_of_an_earlier_token_are_planned_again_where_the_provider_drops_a_second_one(desk: Desk) -> None:
    token = desk.open()
    desk.intend(token, desk.sends.planned(INITIAL, 2))
    desk.open(retry=True, token=token)
    assert list(desk.states().values()).count(SendState.INTENT) == 2, "its own stay"
    desk.open(retry=True, token=desk.take(late=LEASE * 2))
    assert set(desk.states().values()) == {SendState.PLANNED}
    assert [s.attempts for s in desk.sends.planned(INITIAL, 9)] == [1, 1, 0, 0, 0, 0]


def test_intents_stay_in_doubt_where_it_does_not(desk: Desk) -> None:
    desk.intend(desk.open(), desk.sends.planned(INITIAL, 2))
    desk.open(token=desk.take(late=LEASE * 2))
    assert list(desk.states().values()).count(SendState.INTENT) == 2
    assert len(desk.sends.planned(INITIAL, 9)) == 4


def test_other_pages_are_not_planned_again(desk: Desk) -> None:
    desk.intend(desk.open())
    for key in (step("initial", 1), step("update-1"), INITIAL.model_copy(update={"revision": 2})):
        desk.take(key)
        desk.open(key, kind="initial", retry=True, token=desk.take(key, late=LEASE))
    assert set(desk.states().values()) == {SendState.INTENT}


def test_planned_sends_come_in_the_order_of_the_audience(desk: Desk) -> None:
    desk.open()
    assert [s.recipient.position for s in desk.sends.planned(INITIAL, 4)] == [0, 1, 2, 3]


def test_step_is_one_row_whatever_its_id(desk: Desk) -> None:
    desk.open()
    row = desk.rows()[0]
    with desk.database.write() as session:
        assert insert_new(session, SendRow, [{**row.model_dump(), "id": "another"}]) == 0
    assert len(desk.rows()) == 6
