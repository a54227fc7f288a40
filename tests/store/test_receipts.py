"""Receipts in the store: whoever reports at once, and whatever breaks in between, all of it counts or nothing."""

from collections.abc import Callable
from itertools import permutations
from random import Random

import pytest
from sqlmodel import select

from tellfirst.channels.receipts import judge, meaning
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.domain.receipt import Receipt
from tellfirst.store.doubts import Doubts, Settlement
from tellfirst.store.engine import Database
from tellfirst.store.receipts import Receipts, SilentSend
from tellfirst.store.tables import ConsentRow, ReceiptRow, SendRow
from tests.store.make import NOON, at_once, meeting
from tests.web.rows import opted_out, put_sends, state_of, unusable

SEND = "5e" * 16


def receipts_of(database: Database, means: Callable[[Receipt], AnswerKind | None] = meaning) -> Receipts:
    return Receipts(database, judge=judge, meaning=means)


def event(status: str, error: str = "", *, provider_id: str = "SM1", send: str = "") -> Receipt:
    return Receipt(provider="twilio", provider_id=provider_id, status=status, error=error, send=send)


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_events_at_once_are_both_judged(database: Database, order: tuple[int, ...]) -> None:
    receipts, told = receipts_of(database), [event("undelivered", "30003"), event("failed")]
    put_sends(database, [(SEND, "twilio", "SM1")])
    with meeting(database, "INSERT INTO receipts", when="after"):
        at_once([lambda number=number: receipts.take(told[number], now=NOON) for number in order])  # type: ignore[misc]
    assert state_of(database, SEND) == ("undelivered", "receipt:30003")


@pytest.mark.parametrize("state", [SendState.UNKNOWN, SendState.ACCEPTED])
@pytest.mark.parametrize(
    ("provider", "provider_id", "status", "error"),
    [
        ("fcm", SEND, "opened", ""),
        ("sendgrid", SEND, "delivered", ""),
        ("sendgrid", SEND, "spamreport", ""),
        ("sendgrid", SEND, "bounce", ""),
        ("resend", "SM1", "email.complained", ""),
        ("resend", "m-1", "email.bounced", "Permanent"),
    ],
)
def test_nobody_reports_on_what_left_through_another(
    database: Database, state: SendState, provider: str, provider_id: str, status: str, error: str
) -> None:
    put_sends(database, [(SEND, "twilio", "SM1" if state is SendState.ACCEPTED else "")], state=state)
    told = Receipt(provider=provider, provider_id=provider_id, status=status, error=error, send=SEND)
    receipts_of(database).take(told, now=NOON)
    assert (state_of(database, SEND)[0], opted_out(database), unusable(database)) == (state, [], [])


def test_one_message_proves_one_send_of_two_that_claim_it_at_once(database: Database) -> None:
    other = "ab" * 16
    put_sends(database, [(SEND, "twilio", ""), (other, "twilio", "")], state=SendState.UNKNOWN)
    receipts = receipts_of(database)
    with meeting(database, "INSERT INTO receipts", when="after"):
        at_once([lambda id_=id_: receipts.take(event("sent", send=id_), now=NOON) for id_ in (SEND, other)])  # type: ignore[misc]
    assert sorted(state_of(database, id_)[0] for id_ in (SEND, other)) == ["accepted", "unknown"]


def test_a_receipt_and_a_look_up_do_not_both_adopt_one_message(database: Database) -> None:
    other = "ab" * 16
    put_sends(database, [(SEND, "twilio", ""), (other, "twilio", "")], state=SendState.INTENT)
    found = Settlement(id=other, state=SendState.ACCEPTED, provider_id="SM1")
    with meeting(database, "UPDATE sends"):
        at_once(
            [
                lambda: receipts_of(database).take(event("sent", send=SEND), now=NOON),
                lambda: Doubts(database).resolve([found], now=NOON) == 1,
            ]
        )
    assert sorted(state_of(database, id_)[0] for id_ in (SEND, other)) == ["accepted", "intent"]


def test_what_breaks_keeps_nothing_and_is_whole_the_next_time(database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "SM1")])

    def broken(_: Receipt) -> AnswerKind:
        raise RuntimeError("the process ends here")

    stop = event("undelivered", "21610")
    with pytest.raises(RuntimeError):
        receipts_of(database, broken).take(stop, now=NOON)
    with database.read() as session:
        assert session.exec(select(ReceiptRow)).all() == []
    assert state_of(database, SEND)[0] == "accepted"
    assert [receipts_of(database).take(stop, now=NOON) for _ in range(2)] == [True, False]
    assert state_of(database, SEND) == ("undelivered", "receipt:21610")
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]


def test_an_old_report_does_not_take_back_what_the_customer_said_since(database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "SM1")])
    receipts = receipts_of(database)
    receipts.take(event("undelivered", "21610"), now=NOON)
    with database.write() as session:
        session.add(
            ConsentRow(customer_id=f"c-{SEND}", channel="sms", purpose="service", allowed=True, at=NOON, source="c")
        )
    receipts.take(event("undelivered", "21610"), now=NOON)
    with database.read() as session:
        assert len(session.exec(select(ConsentRow)).all()) == 2


@pytest.mark.parametrize("together", [False, True])
def test_what_is_asked_for_before_it_is_known_by_whom_is_done_once_it_is(database: Database, together: bool) -> None:
    """An opt-out that named no send and came before our own answer was forgotten."""
    receipts, stop = receipts_of(database), event("undelivered", "21610")
    put_sends(database, [(SEND, "twilio", "")], state=SendState.INTENT)
    receipts.take(stop, now=NOON)
    assert opted_out(database) == []
    answer = Settlement(id=SEND, state=SendState.ACCEPTED, provider_id="SM1")
    assert Doubts(database).resolve([answer], now=NOON) == 1
    if together:
        receipts.take_all([event("sent")], now=NOON)
    else:
        receipts.judge_again(SilentSend(id=SEND, provider="twilio", provider_id="SM1", settled_at=NOON), now=NOON)
    assert opted_out(database) == [(f"c-{SEND}", "*", "*")]
    with database.write() as session:
        session.add(
            ConsentRow(customer_id=f"c-{SEND}", channel="sms", purpose="service", allowed=True, at=NOON, source="c")
        )
    receipts.take(stop, now=NOON)
    with database.read() as session:
        assert len(session.exec(select(ConsentRow)).all()) == 2, "what was said since stands"


def test_what_is_asked_for_about_nobody_is_kept_and_asks_for_nothing(database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "SM1")])
    assert receipts_of(database).take(event("undelivered", "30005", provider_id="SM9", send="nobody"), now=NOON)
    assert unusable(database) == opted_out(database) == []


@pytest.mark.parametrize("state", [SendState.PLANNED, SendState.DEFERRED, SendState.WITHHELD, SendState.FAILED])
def test_what_never_left_is_not_moved_by_our_id_either(database: Database, state: SendState) -> None:
    put_sends(database, [(SEND, "fcm", "")], state=state)
    opened = Receipt(provider="fcm", provider_id=SEND, status="opened", send=SEND)
    assert receipts_of(database).take(opened, now=NOON)
    assert state_of(database, SEND) == (state, "")
    with database.read() as session:
        assert session.get_one(SendRow, SEND).provider_id == ""


STATUSES = [("queued", ""), ("sent", ""), ("undelivered", "30008"), ("undelivered", "30003"), ("failed", "")]
STATUSES += [("delivered", ""), ("undelivered", "21610"), ("teleported", "")]


@pytest.mark.parametrize("seed", range(3))
def test_together_they_do_what_they_do_one_by_one(database: Database, seed: int) -> None:
    chance, receipts = Random(seed), receipts_of(database)
    states = list(SendState)
    plan = [(number, chance.choice(states), chance.random() < 0.3) for number in range(16)]
    for world in "ab":
        for number, state, unnamed in plan:
            sid = "" if unnamed else f"SM{world}{number}"
            put_sends(database, [(f"{world}-{number}", "twilio", sid)], state=state)
    told = [(chance.randrange(18), chance.choice(STATUSES)) for _ in range(80)]
    of = {
        world: [event(*words, provider_id=f"SM{world}{n}", send=f"{world}-{n}") for n, words in told] for world in "ab"
    }
    for one in of["a"]:
        receipts.take(one, now=NOON)
    for first in range(0, len(told), 20):
        receipts.take_all(of["b"][first : first + 20], now=NOON)
    assert [state_of(database, f"a-{n}") for n, *_ in plan] == [state_of(database, f"b-{n}") for n, *_ in plan]
    with database.read() as session:
        kept = [(r.provider_id[3:], r.status, r.error) for r in session.exec(select(ReceiptRow))]
        left = {row.id: (row.provider_id[3:], row.settled_at) for row in session.exec(select(SendRow))}
    assert sorted(kept) == sorted(2 * list({*kept}))
    assert [left[f"a-{n}"] for n, *_ in plan] == [left[f"b-{n}"] for n, *_ in plan]
    out = sorted(customer for customer, *_ in opted_out(database))
    assert [one for one in out if "a" in one] == [one.replace("b-", "a-") for one in out if "b" in one]


def test_two_batches_at_once_judge_every_event(database: Database) -> None:
    ids = [f"{number:032x}" for number in range(20)]
    put_sends(database, [(id_, "twilio", f"SM{id_}") for id_ in ids])
    words = [("failed", ""), ("undelivered", "30003")]
    # Whichever batch came last would be wrong about one half of the messages.
    first, last = (
        [event(*words[(number + turn) % 2], provider_id=f"SM{id_}", send=id_) for number, id_ in enumerate(ids)]
        for turn in range(2)
    )
    receipts = receipts_of(database)
    with meeting(database, "INSERT INTO receipts", when="after"):
        at_once([lambda some=some: receipts.take_all(some, now=NOON) for some in (first, last[::-1])])  # type: ignore[misc]
    assert {state_of(database, id_) for id_ in ids} == {("undelivered", "receipt:30003")}


def test_a_later_batch_corrects_the_reason(database: Database) -> None:
    put_sends(database, [(SEND, "twilio", "SM1")])
    for error in ("30003", "30008", ""):
        receipts_of(database).take_all([event("undelivered", error)], now=NOON)
    assert state_of(database, SEND) == ("undelivered", "receipt:30008")
