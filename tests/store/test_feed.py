"""What happens is told once to each system that wants it: in order, and none is skipped, however it was written."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from tellfirst.domain.feed import CustomerReplied, Happening, OutreachPlanned
from tellfirst.domain.message import SendState
from tellfirst.store.consents import Consents
from tellfirst.store.doubts import Settlement, settle_batch
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure
from tellfirst.store.escalations import Escalations
from tellfirst.store.exceptions import Exceptions
from tellfirst.store.feed import KEEP, Feed, FeedEvent, Tried
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.tables_feed import FeedEventRow
from tellfirst.store.telling import tell
from tests.store.desk import Desk
from tests.store.make import DAY, HOUR, NOON, OUTREACH, claim, customers, freeze
from tests.store.test_exceptions import budgets, new
from tests.store.test_notices import escalation
from tests.store.test_outcomes import outcome

DESK = "desk"
PARK = timedelta(days=3)


@pytest.fixture
def feed(database: Database) -> Feed:
    made = Feed(database)
    made.register({DESK: ["*"]}, now=NOON)
    return made


def happen(database: Database, *happenings: Happening) -> None:
    with database.write() as session:
        tell(session, *happenings, at=NOON)


def reply(number: int, customer: str = "c-1") -> CustomerReplied:
    return CustomerReplied(customer=customer, outreach="o", channel="sms", reply=f"r-{number}", kind="reply", tone="")


def due(feed: Feed, *, now: datetime = NOON, endpoint: str = DESK) -> list[FeedEvent]:
    return feed.due(endpoint, now=now, limit=100)


def replies(feed: Feed, *, now: datetime = NOON) -> list[str]:
    return [event.data["reply"] for event in due(feed, now=now)]


def answer(feed: Feed, events: list[FeedEvent], detail: str, *, now: datetime = NOON, **more: Any) -> None:
    tried = [Tried(number=e.number, acknowledged=detail == "204", detail=detail, **more) for e in events]
    feed.settle(DESK, tried, now=now, park_after=PARK)


def types(feed: Feed, now: datetime = NOON) -> list[str]:
    """Delivers all that waits and returns the types in the order they came."""
    told = []
    while events := due(feed, now=now):
        told += [event.type for event in events]
        answer(feed, events, "204", now=now)
    return told


# -- what is told


def test_a_send_tells_what_it_came_to_each_once(desk: Desk, feed: Feed) -> None:
    desk.deliver({"c-0": SendState.ACCEPTED, "c-1": SendState.FAILED, "c-2": SendState.UNKNOWN})
    told = {(e.customer, e.type) for e in due(feed)}
    assert told == {("c-0", "message.sent"), ("c-1", "message.failed"), ("c-2", "message.unknown")}
    ids = {c: send for send, c in desk.whose().items()}
    assert [e.data for e in due(feed) if e.customer == "c-1"] == [
        {"outreach": OUTREACH, "playbook": "", "reason_code": "", "step": "initial", "channel": "sms",
         "send": ids["c-1"], "why": ""}
    ]  # fmt: skip
    with desk.database.write() as session:  # the same answers once more, as after a kill
        settle_batch(session, [Settlement(id=ids["c-0"], state=SendState.ACCEPTED)], now=NOON, bodies={})
    assert len(due(feed)) == 3


def test_what_is_rolled_back_has_not_happened(desk: Desk, feed: Feed) -> None:
    token = desk.open()
    desk.intend(token)
    ids = [Settlement(id=send, state=SendState.ACCEPTED, provider_id=send) for send in desk.whose()]

    def die() -> None:
        with desk.database.write() as session:
            settle_batch(session, ids, now=NOON, bodies={})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        die()
    assert due(feed) == []


def test_everything_that_is_promised_is_told(database: Database, feed: Feed) -> None:
    claim(database)
    customers(database, ["c-1"])
    freeze(database)
    freeze(database)
    Consents(database).opt_out(["c-1"], channel="sms", at=NOON, source="reply")
    Consents(database).opt_out(["c-1"], channel="sms", at=NOON, source="reply")
    escalations = Escalations(database)
    escalations.keep(escalation(), at=NOON)
    escalations.keep(escalation(acknowledged_by="eve", acknowledged_at=NOON), at=NOON)
    escalations.keep(escalation(level=2), at=NOON)
    exceptions = Exceptions(database)
    exceptions.claim(new(), budgets())
    exceptions.grant("r-1", at=NOON)
    Outcomes(database).record(OUTREACH, outcome(), at=NOON)
    Outcomes(database).record(OUTREACH, outcome(), at=NOON)
    assert sorted(types(feed)) == [
        "customer.opted_out",
        *["escalation.raised"] * 2,
        *["exception.changed"] * 2,
        "outcome.recorded",
        "outreach.planned",
    ]


def test_nothing_is_kept_for_nobody(database: Database) -> None:
    happen(database, reply(1))
    with database.read() as session:
        assert session.exec(select(FeedEventRow)).all() == []


@pytest.mark.parametrize(
    ("chosen", "told"),
    [("*", True), ("customer.*", True), ("customer.replied", True), ("customer.opted_out", False), ("c*", False)],
)
def test_a_system_is_told_what_it_chose(database: Database, chosen: str, told: bool) -> None:
    feed = Feed(database)
    feed.register({DESK: [chosen], "other": ["outcome.recorded"]}, now=NOON)
    happen(database, reply(1))
    assert bool(due(feed)) is told
    assert due(feed, endpoint="other") == []


# -- in which order, and until when


def test_of_each_customer_the_first_goes_first(database: Database, feed: Feed) -> None:
    happen(database, reply(1), reply(2), reply(3, "c-2"))
    assert replies(feed) == ["r-1", "r-3"]
    answer(feed, due(feed)[:1], "204")
    assert replies(feed) == ["r-2", "r-3"]


def test_what_is_about_no_customer_waits_for_its_outreach_alone(database: Database, feed: Feed) -> None:
    def planned(outreach: str, revision: int) -> OutreachPlanned:
        return OutreachPlanned(
            outreach=outreach, playbook="p", reason_code="r", owner="o", revision=revision, recipients=1,
            channels={}, steps=(), decide_by=NOON,
        )  # fmt: skip

    happen(database, planned("o-1", 1), planned("o-1", 2), planned("o-2", 1))
    assert [(e.data["outreach"], e.data["revision"]) for e in due(feed)] == [("o-1", 1), ("o-2", 1)]


def test_a_failed_event_holds_up_its_customer_and_nobody_else(database: Database, feed: Feed) -> None:
    happen(database, reply(1), reply(2), reply(3, "c-2"))
    answer(feed, due(feed)[:1], "503", next_at=NOON + HOUR)
    assert replies(feed) == ["r-3"]
    assert replies(feed, now=NOON + HOUR) == ["r-1", "r-3"]


def test_what_is_refused_holds_up_nobody(database: Database, feed: Feed) -> None:
    happen(database, reply(1), reply(2))
    answer(feed, due(feed), "422", refused=True, next_at=NOON + HOUR)
    assert replies(feed) == ["r-2"]
    assert replies(feed, now=NOON + HOUR) == ["r-1", "r-2"]


def test_a_number_that_comes_late_is_not_skipped(database: Database, feed: Feed) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one writer")
    with database.write() as slow:
        tell(slow, reply(1), at=NOON)
        happen(database, reply(2, "c-2"))
        events = due(feed)
        assert [e.data["reply"] for e in events] == ["r-2"]
        answer(feed, events, "204")
    assert replies(feed) == ["r-1"]


def test_what_was_delivered_stays_so_until_it_is_old(database: Database, feed: Feed) -> None:
    happen(database, reply(1))
    events = due(feed)
    answer(feed, events, "204")
    answer(feed, events, "503", next_at=NOON)
    happen(database, reply(1))
    assert due(feed) == []
    feed.tidy(DESK, now=NOON + KEEP)
    assert feed.standings()[0].delivered == 1
    feed.tidy(DESK, now=NOON + KEEP + HOUR)
    assert feed.standings()[0].delivered == 0


# -- what nobody takes


def test_what_is_refused_for_days_is_parked_until_somebody_says_so(database: Database, feed: Feed) -> None:
    happen(database, reply(1), reply(2))
    first = due(feed)
    answer(feed, first, "422", refused=True, next_at=NOON)
    answer(feed, first, "422", refused=True, next_at=NOON, now=NOON + PARK - HOUR)
    assert replies(feed, now=NOON + PARK) == ["r-1", "r-2"]
    answer(feed, first, "422", refused=True, next_at=NOON, now=NOON + PARK)
    assert replies(feed, now=NOON + PARK) == ["r-2"]
    assert feed.parked_at(DESK) == NOON + PARK
    (standing,) = feed.standings()
    assert [(p.type, p.attempts, p.detail) for p in standing.parked] == [("customer.replied", 3, "422")]
    assert (standing.waiting, standing.delivered) == (1, 0)
    assert feed.retry(DESK) == 1
    assert feed.parked_at(DESK) is None
    answer(feed, due(feed)[:1], "422", refused=True, next_at=NOON, now=NOON + PARK)
    assert feed.parked_at(DESK) is None  # it has its days again


def test_a_system_that_is_down_for_weeks_loses_nothing(database: Database, feed: Feed) -> None:
    happen(database, reply(1), reply(2, "c-2"))
    for days in range(30):
        answer(feed, due(feed), "503", next_at=NOON, now=NOON + days * DAY)
    assert replies(feed, now=NOON + 30 * DAY) == ["r-1", "r-2"]
    answer(feed, due(feed)[:1], "204", now=NOON + 30 * DAY)
    # That one came through and the other alone still does not is no trouble of the whole system's.
    answer(feed, due(feed), "503", next_at=NOON, now=NOON + 30 * DAY + HOUR)
    assert replies(feed, now=NOON + 31 * DAY) == []
    assert feed.parked_at(DESK) == NOON + 30 * DAY + HOUR


def test_a_system_that_is_not_named_any_more_is_not_told(database: Database, feed: Feed) -> None:
    happen(database, reply(1))
    feed.register({"other": ["*"]}, now=NOON)
    assert not feed.registered(DESK)
    happen(database, reply(2))
    assert replies(feed) == ["r-1"]  # named again, it is told what it missed
    feed.register({"other": ["*"]}, now=NOON + KEEP + HOUR)
    assert replies(feed) == []


def test_nothing_waits_of_a_customer_who_is_forgotten(database: Database, feed: Feed) -> None:
    customers(database, ["c-1", "c-2"])
    happen(database, reply(1), reply(2, "c-2"))
    Erasure(database).forget("c-1", "x-1", by="ana", at=NOON)
    with database.read() as session:
        assert list(session.exec(select(col(FeedEventRow.customer_id)))) == ["c-2"]
    assert replies(feed) == ["r-2"]


def test_an_index_finds_what_waits(database: Database, feed: Feed) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics")
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    due(feed)
    (query,) = [sql for sql in seen if "earlier" in sql]
    with database.read() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (DESK, NOON.isoformat(), "", 1, 0))
        told = " ".join(str(row) for row in plan)
    assert "feed_events_waiting" in told
    assert "feed_events_lane" in told
