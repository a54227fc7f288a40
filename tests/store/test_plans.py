"""Query plans: what runs for every page finds its rows by an index, however much the tables hold."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text
from sqlmodel import col, select, update

from tellfirst.domain.message import SendState
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.dashboard import Dashboard
from tellfirst.store.doubts import Doubts, Settlement
from tellfirst.store.engine import Database
from tellfirst.store.escalations import Escalations
from tellfirst.store.exceptions import Exceptions
from tellfirst.store.leases import Leases
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Recipients
from tellfirst.store.repeats import Repeat
from tellfirst.store.replies import Replies
from tellfirst.store.sends import Sends
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import RecipientRow, ReservationRow, SendRow
from tests.store.desk import INITIAL, LEASE, allow
from tests.store.make import DAY, NOON, OUTREACH, by, candidate, claim, customers, paged

SIZE = 100
OUTREACHES = [OUTREACH, *(f"outreach/late_delivery/k-{n}/1" for n in range(2, 9))]
PAGE = INITIAL.model_copy(update={"page": 3})


BIG = "recipients|sends|contacts|reservations"
WHOLE = re.compile(rf"Seq Scan on ({BIG})|^SCAN ({BIG}|first|other)\b(?!.*USING)")


@pytest.fixture(scope="module")
def full(shared_database: Database) -> Database:
    """Returns a database of eight outreaches of six pages, each page sent but for some of its rows."""
    database = shared_database
    names = [f"c-{n}" for n in range(6 * SIZE)]
    customers(database, names)
    for outreach in OUTREACHES:
        claim(database, outreach)
        paged(database, [candidate(name) for name in names], outreach=outreach, size=SIZE)
    with database.write() as session:
        drawn = {"arm": "treated", "t0": NOON, "window_end": NOON + DAY, "share": 0.1}
        session.execute(update(RecipientRow).values(**drawn))
        rows = session.exec(select(RecipientRow)).all()
        places = [{"customer_id": r.customer_id, "outreach_id": r.outreach_id, "at": NOON} for r in rows]
        insert_new(session, ReservationRow, places)
        sends = [
            {
                "id": f"s-{r.id}",
                "outreach_id": r.outreach_id,
                "revision": 1,
                "recipient_id": r.id,
                "customer_id": r.customer_id,
                "step": "initial",
                "channel": "sms",
                "page": r.page,
                "state": [SendState.PLANNED, SendState.INTENT, *[SendState.ACCEPTED] * 18][(r.id or 0) % 20],
                "provider_id": f"p-{r.id}",
                "adapter": "fake",
                "intent_at": NOON if (r.id or 0) % 20 else None,
            }
            for r in rows
        ]
        insert_new(session, SendRow, sends)
    Contacts(database).save(
        [Contact(id=str(n), customer=f"c-{n % 700}", reason_code="x", occurred_at=NOON) for n in range(3_000)],
        source="desk",
        through=NOON,
        now=NOON,
    )
    with database.write() as session:
        session.execute(text("ANALYZE"))
    return database


@contextmanager
def scans(database: Database) -> Iterator[list[str]]:
    """Yields the list of plan lines that read a whole large table, of every statement that runs meanwhile."""
    found: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    def look(connection: Connection, _: object, sql: str, parameters: object, __: object, many: bool) -> None:
        if not re.match(r"(SELECT|UPDATE|DELETE|INSERT)\b", sql):
            return
        cursor = connection.connection.cursor()
        one = parameters[0] if many else parameters  # type: ignore[index]
        cursor.execute(explain + sql, one)
        for line in cursor.fetchall():
            if whole := WHOLE.search(str(line[-1])):
                found.append(f"{whole[0]} of {sql}")
        cursor.close()

    event.listen(database.engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", look)


def dispatch(database: Database) -> None:
    """Does everything that sending one page does."""
    sends, leases = Sends(database), Leases(database)
    for step, kind in (("initial", "initial"), ("update-1", "update"), ("resolved", "resolved")):
        key = PAGE.model_copy(update={"step": step})
        token = leases.take(key, now=NOON, until=NOON + LEASE)
        assert token is not None
        sends.open_page(key, kind=kind, channel="sms", repeat=Repeat(adapter="fake", since=NOON), token=token)
        batch = sends.planned(key, 25)
        assert bool(batch) is (kind != "resolved")
        leaving = sends.intend(
            key,
            token,
            batch,
            channel="sms",
            adapter="fake",
            nonce="n",
            now=NOON,
            lease_until=lambda: NOON + LEASE,
            not_after=NOON + DAY,
            judge=allow,
            facts=lambda *_: (True, True, True),
        )
        assert len(leaving) == len(batch)
        answers = [Settlement(id=id_, state=SendState.ACCEPTED, provider_id=f"q-{id_}") for id_ in leaving]
        sends.settle(key, token, answers, {}, now=NOON)
        sends.tally(OUTREACH, page=key)


def reconcile(database: Database) -> None:
    """Asks about what is in doubt, and adopts one proof."""
    doubts = Doubts(database)
    send = doubts.in_doubt(OUTREACH, "initial", "sms", revision=1)[0]
    doubts.receipts_of(send.id)
    doubts.resolve([Settlement(id=send.id, state=SendState.ACCEPTED, provider_id="new")], now=NOON)


def randomise(database: Database) -> None:
    """Draws one page again."""
    with database.write() as session:
        page = (col(RecipientRow.outreach_id) == OUTREACH, col(RecipientRow.page) == 2)
        session.execute(update(RecipientRow).where(*page).values(arm=None))
    Recipients(database).randomise(OUTREACH, 1, by(), page=2)


def read_page(database: Database) -> None:
    """Reads one page as the approval is checked."""
    assert len(Recipients(database).page(OUTREACH, 1, 3)) == SIZE


def lists(database: Database) -> None:
    """Shows what the dashboard and the command line show: of everything, and of one outreach."""
    board = Dashboard(database)
    board.front(now=NOON)
    board.outreach(OUTREACH)
    board.sending(OUTREACH, now=NOON)
    recipients = Recipients(database)
    recipients.verdicts(OUTREACH, 1)
    recipients.set_aside(OUTREACH, 1)
    recipients.samples(OUTREACH, 1, 3)
    Doubts(database).in_doubt(OUTREACH, "initial", "sms")
    Exceptions(database).customer_of(OUTREACH, "c-1")
    Replies(database).of(OUTREACH)
    Exceptions(database).all(outreach=OUTREACH)
    CallTasks(database).open()
    Escalations(database).open()
    next(Receivers(database, chunk=25).sends(OUTREACH, "initial"))


@pytest.mark.parametrize("work", [dispatch, reconcile, randomise, read_page, lists])
def test_page_is_worked_on_by_index(full: Database, work: Callable[[Database], None]) -> None:
    with scans(full) as found:
        work(full)
    assert found == []


def test_whole_table_would_be_noticed(full: Database) -> None:
    with scans(full) as found, full.read() as session:
        session.exec(select(SendRow.id).where(SendRow.reason == "x")).all()
    assert len(found) == 1
