"""The list of calls, as whoever makes them sees it."""

from datetime import timedelta

import pytest

from tellfirst.domain.message import Outbound, Rendered, SendState
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.sends import Sends, send_id
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import SendRow
from tests.cli.conftest import Shell
from tests.store.make import DAY, HOUR, NOON, OUTREACH, by, candidate, claim, paged

NUMBER = "+14155550142"
SCRIPT = "Ask for Zoe. Their account in Frankfurt is affected."
CALL = send_id(OUTREACH, 1, 0, "initial", "person")


@pytest.fixture
def calls(database: Database) -> CallTasks:
    """Is the list of calls with one call on it."""
    claim(database)
    Customers(database).save([CustomerRecord(id="c-0", addresses={"person": NUMBER})], now=NOON, source="test")
    recipients = paged(database, [candidate("c-0", channel="person")])
    recipients.randomise(OUTREACH, 1, by(), page=0)
    made = {"revision": 1, "recipient_id": 1, "page": 0, "token": 1, "attempts": 1, "nonce": "n"}
    row = {
        **made,
        "id": CALL,
        "outreach_id": OUTREACH,
        "customer_id": "c-0",
        "step": "initial",
        "channel": "person",
        "state": SendState.ACCEPTED,
        "reason": "",
        "adapter": "person",
        "provider_id": CALL,
        "body_digest": "",
    }
    with database.write() as session:
        insert_new(session, SendRow, [row])
    tasks = CallTasks(database)
    assert tasks.deliver([task()], now=NOON) == {CALL}
    return tasks


def task(**more: object) -> Outbound:
    return Outbound(
        send_id=CALL,
        channel="person",
        address=NUMBER,
        rendered=Rendered(body=SCRIPT),
        locale="en",
        not_after=NOON + 4 * HOUR,
        customer="c-0",
    ).model_copy(update=more)


def test_the_list_tells_neither_whom_to_dial_nor_what_to_say(shell: Shell, calls: CallTasks) -> None:
    for words in (("calls",), ("calls", "--json")):
        done = shell(*words)
        assert (done.code, "c-0" in done.out, CALL[:12] in done.out) == (0, True, True)
        assert NUMBER not in done.out
        assert "Zoe" not in done.out
    assert "1 call to make" in shell("calls").out


def test_whoever_looks_at_a_call_is_written_down(shell: Shell, calls: CallTasks, database: Database) -> None:
    shown = shell("calls", "show", CALL[:8], "--as", "eve").out
    assert NUMBER in shown
    assert SCRIPT in shown
    with database.read() as session:
        query = "SELECT actor, about FROM audit WHERE kind = 'call_shown'"
        assert session.connection().exec_driver_sql(query).all() == [("eve", CALL)]


@pytest.mark.parametrize(
    ("word", "state"), [("--reached", SendState.DELIVERED), ("--not-reached", SendState.UNDELIVERED)]
)
def test_how_a_call_went_is_its_receipt_once(
    shell: Shell, calls: CallTasks, database: Database, word: str, state: SendState
) -> None:
    assert shell("calls", "done", CALL, word, "--as", "eve").code == 0
    again = shell("calls", "done", CALL, "--reached" if word == "--not-reached" else "--not-reached")
    assert "it was recorded before" in again.err
    assert [one.state for one in Sends(database).states(OUTREACH)] == [state]
    assert shell("calls").out == "no call is to be made\n"
    shown = shell("calls", "show", CALL)
    assert "by eve" in shown.out
    assert SCRIPT not in shown.out


def test_how_it_went_has_to_be_said_of_a_call_that_is_there(shell: Shell, calls: CallTasks) -> None:
    assert "give --reached or --not-reached" in shell("calls", "done", CALL).err
    assert "there is no such call" in shell("calls", "done", "f" * 32, "--reached").err
    assert shell("calls", "show", "%").code == 1


def test_one_asked_for_twice_is_one_call_and_one_too_late_is_none(calls: CallTasks) -> None:
    later = task(rendered=Rendered(body="something else"))
    assert calls.deliver([later], now=NOON + HOUR) == {CALL}
    assert [call.script for call in calls.named(CALL)] == [SCRIPT]
    assert calls.deliver([task(send_id="b" * 32)], now=NOON + DAY) == set()
    assert calls.deliver([task(send_id="b" * 32, customer="nobody")], now=NOON) == set()


def test_what_to_say_is_not_kept_for_ever(calls: CallTasks) -> None:
    assert calls.deliver([], now=NOON + 4 * HOUR + timedelta(days=7)) == set()
    assert [call.script for call in calls.named(CALL)] == [""]


def test_a_forgotten_customers_calls_are_gone(shell: Shell, calls: CallTasks) -> None:
    assert shell("customers", "forget", "c-0", "--yes").code == 0
    assert calls.named(CALL) == []
