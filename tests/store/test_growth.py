"""Growth: what a page costs does not depend on how many others its outreach has; rows touched are counted, not guessed.

SQLite counts the steps of its virtual machine, PostgreSQL the rows that each node of the plan read. The same work is
done in an outreach of five pages and in one of twenty: no statement may cost the second noticeably more.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlmodel import SQLModel, col, select, update

from tellfirst.channels.receipts import judge, meaning
from tellfirst.domain.message import SendState
from tellfirst.domain.receipt import Receipt
from tellfirst.store.alternates import Alternates
from tellfirst.store.doubts import Doubts, Settlement
from tellfirst.store.engine import Database
from tellfirst.store.leases import Leases, PageKey
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.receipts import Receipts
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Recipients
from tellfirst.store.repeats import Repeat
from tellfirst.store.retention import BATCH, Retention
from tellfirst.store.sends import Sends
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import AdmissionRow, RecipientRow, ReservationRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow
from tests.figures import Figure
from tests.store.desk import LEASE, allow
from tests.store.make import DAY, NOON, by, candidate, claim, customers, paged

SIZE = 200
PAGES = {"outreach/late_delivery/small/1": 5, "outreach/late_delivery/great/1": 20}
SMALL, GREAT = PAGES
CONDITION = ("trigger", "condition_key", "condition_episode")
STEPS = 200
"""Of fifty instructions each: what reading a page takes, and reading the great outreach does not."""
ALLOWED = 1.5
"""Times what it costs in the small one; whoever reads the whole of the great one costs four times as much."""


@pytest.fixture(scope="module")
def grown(shared_database: Database) -> Database:
    """Returns a database of two outreaches, each page of which was sent, but for some of its rows."""
    database = shared_database
    for number, (outreach, pages) in enumerate(PAGES.items()):
        names = [f"c-{number}-{n}" for n in range(pages * SIZE)]
        customers(database, names)
        claim(database, outreach)
        paged(database, [candidate(name) for name in names], outreach=outreach, size=SIZE)
        # A further revision, half of it by mail and behind the others, which nobody has frozen yet.
        mixed = [candidate(name, channel="sms" if n < len(names) / 2 else "email") for n, name in enumerate(names)]
        Recipients(database).add(outreach, 2, mixed, first=0)
        with database.write() as session:
            drawn = {"arm": "treated", "t0": NOON, "window_end": NOON + DAY, "share": 0.1}
            mine = (col(RecipientRow.outreach_id) == outreach, col(RecipientRow.revision) == 1)
            session.execute(update(RecipientRow).where(*mine).values(**drawn))
            rows = session.exec(select(RecipientRow).where(*mine)).all()
            places = [{"customer_id": r.customer_id, "outreach_id": r.outreach_id, "at": NOON} for r in rows]
            insert_new(session, ReservationRow, places)
            insert_new(session, SendRow, [_send(row, number) for row in rows])
            alternates = [_alternate(row, pages) for row in rows if row.position % 2]
            insert_new(session, AlternateRow, alternates)
            insert_new(session, AlternateRow, [{**one, "revision": 2, "page": None} for one in alternates])
            insert_new(session, AdmissionRow, [_admission(row) for row in rows])
    if not database.is_sqlite:  # nothing ever tells SQLite what its tables hold; PostgreSQL looks by itself
        with database.write() as session:
            session.execute(text("ANALYZE"))
            # Or the planner would learn more, and choose anew, in the middle of a comparison.
            for one in SQLModel.metadata.sorted_tables:
                session.execute(text(f'ALTER TABLE "{one.name}" SET (autovacuum_enabled = false)'))
    return database


def _send(row: RecipientRow, number: int) -> dict[str, Any]:
    place = row.position % SIZE
    # As many in doubt in either outreach: those of one page.
    state = (
        SendState.INTENT if row.page == 1 and place < 20 else SendState.PLANNED if place < 40 else SendState.ACCEPTED
    )
    return {
        "id": f"s-{row.id}",
        "outreach_id": row.outreach_id,
        "revision": 1,
        "recipient_id": row.id,
        "customer_id": row.customer_id,
        "step": "initial",
        "channel": "sms",
        "page": row.page,
        "state": state,
        "provider_id": f"p-{number}-{row.position}" if state is SendState.ACCEPTED else "",
        "adapter": "fake",
        "intent_at": None if state is SendState.PLANNED else NOON,
        # Those of either outreach in an hour of its own.
        "settled_at": NOON + number * DAY + timedelta(seconds=row.position // 25),
    }


def _alternate(row: RecipientRow, pages: int) -> dict[str, Any]:
    page = pages + row.position // SIZE
    return {
        "outreach_id": row.outreach_id,
        "revision": 1,
        "position": row.position,
        "rank": 1,
        "channel": "email",
        "locale": "en",
        "page": page,
    }


def _admission(row: RecipientRow) -> dict[str, Any]:
    key = row.outreach_id.split("/")[2]
    of = dict(zip(CONDITION, ("late_delivery", key, 1), strict=True))
    told = {"customer_ref": row.customer_id, "since": NOON, "facts": {"a": 1}, "admitted_at": NOON, "too_late": False}
    return {"subject_key": row.customer_id, "episode": 1, **of, **told}


class Meter:
    """Counts what statements cost: the most that each needed at one of its runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.costs: dict[str, int] = defaultdict(int)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Counts while it is on."""
        engine, before = self._database.engine, "before_cursor_execute"
        listeners: list[tuple[str, Any]] = [(before, self._explain)]
        if self._database.is_sqlite:
            listeners = [(before, self._begin), ("after_cursor_execute", self._end)]
        for name, listener in listeners:
            event.listen(engine, name, listener)
        try:
            yield
        finally:
            for name, listener in listeners:
                event.remove(engine, name, listener)

    def _begin(self, connection: Connection, *_: object) -> None:
        self._steps = 0
        raw: Any = connection.connection.dbapi_connection

        def step() -> int:
            self._steps += 1
            return 0

        raw.set_progress_handler(step, 50)

    def _end(self, connection: Connection, cursor: Any, sql: str, parameters: Any, _c: object, many: bool) -> None:
        if sql.startswith("SELECT"):
            # A query steps as its rows are read: it is run to its end, beside the one whose rows are wanted.
            connection.connection.cursor().execute(sql, parameters).fetchall()
        raw: Any = connection.connection.dbapi_connection
        raw.set_progress_handler(None, 0)
        self._note(sql, self._steps // (len(parameters) if many else 1))

    def _explain(self, connection: Connection, _: object, sql: str, parameters: Any, _c: object, many: bool) -> None:
        if not sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            return
        cursor: Any = connection.connection.cursor()
        cursor.execute("SAVEPOINT meter")
        # Small tables are read whole and by bitmaps where great ones are not; test_plans.py looks for the first.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters[0] if many else parameters)
        (plan,) = cursor.fetchone()
        cursor.execute("ROLLBACK TO SAVEPOINT meter")
        cursor.close()
        self._note(sql, _rows(json.loads(plan) if isinstance(plan, str) else plan))

    def _note(self, sql: str, cost: int) -> None:
        self.costs[sql] = max(self.costs[sql], cost)


def _rows(plan: Any) -> int:
    """Returns how many rows the nodes of a plan read."""
    if isinstance(plan, list):
        return sum(map(_rows, plan))
    node = plan.get("Plan", plan)
    read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    mine = sum(node.get(name, 0) for name in read) * node.get("Actual Loops", 1)
    return int(mine) + _rows(node.get("Plans", []))


def dispatch(database: Database, outreach: str) -> None:
    """Does everything that sending one page does, by the channel of choice and by an alternate one."""
    sends, leases = Sends(database), Leases(database)
    for step, kind, channel, page in (
        ("initial", "initial", "sms", 3),
        ("update-1", "update", "sms", 3),
        ("resolved", "resolved", "sms", 3),
        ("initial", "initial", "email", PAGES[outreach] + 3),
    ):
        key = PageKey(outreach=outreach, revision=1, step=step, page=page)
        token = leases.take(key, now=NOON, until=NOON + LEASE)
        assert token is not None
        sends.open_page(key, kind=kind, channel=channel, repeat=Repeat(adapter="fake", since=NOON), token=token)
        batch = sends.planned(key, 25, now=NOON)
        leaving = sends.intend(
            key,
            token,
            batch,
            channel=channel,
            adapter="fake",
            nonce="n",
            now=NOON,
            lease_until=lambda: NOON + LEASE,
            not_after=NOON + DAY,
            judge=allow,
            facts=lambda *_: (True, True, True),
        )
        answers = [Settlement(id=id_, state=SendState.ACCEPTED, provider_id=f"q-{id_}") for id_ in leaving]
        sends.settle(key, token, answers, {}, now=NOON)
        sends.tally(outreach, page=key)
        sends.next_hour(key)
        sends.too_late(key)
        leases.release(key, token, now=NOON)


def reconcile(database: Database, outreach: str) -> None:
    """Asks about what is in doubt, and adopts one proof."""
    doubts = Doubts(database)
    send = doubts.in_doubt(outreach, "initial", "sms", revision=1)[0]
    doubts.receipts_of(send.id)
    doubts.resolve([Settlement(id=send.id, state=SendState.ACCEPTED, provider_id=f"new-{outreach}")], now=NOON)


def take_receipts(database: Database, outreach: str) -> None:
    """Keeps what a provider says of messages, one by one and together."""
    receipts = Receipts(database, judge=judge, meaning=meaning)
    ids = [f"p-{list(PAGES).index(outreach)}-{2 * SIZE + n}" for n in range(50, 70)]
    told = [Receipt(provider="fake", provider_id=id_, status="delivered", error="", send="") for id_ in ids]
    receipts.take(told[0], now=NOON)
    receipts.take_all(told[1:], now=NOON)


def ask_again(database: Database, outreach: str) -> None:
    """Finds the messages of which a provider never said what became of them."""
    receipts, begun = Receipts(database, judge=judge, meaning=meaning), NOON + list(PAGES).index(outreach) * DAY
    found = receipts.silent("sms", "fake", begun, begun + DAY / 2, after=None, limit=SIZE // 2)
    more = receipts.silent("sms", "fake", begun, begun + DAY / 2, after=found[-1], limit=SIZE // 2)
    assert len({one.id for one in (*found, *more)}) == SIZE


def randomise(database: Database, outreach: str) -> None:
    """Draws one page again."""
    with database.write() as session:
        page = (col(RecipientRow.outreach_id) == outreach, col(RecipientRow.page) == 2, col(RecipientRow.revision) == 1)
        session.execute(update(RecipientRow).where(*page).values(arm=None))
    Recipients(database).randomise(outreach, 1, by(), page=2)


def plan(database: Database, outreach: str) -> None:
    """Freezes one page of each channel, and one of alternates."""
    recipients, alternates = Recipients(database), Alternates(database)
    half = PAGES[outreach] * SIZE // 2
    for channel, after, number in (("sms", -1, 0), ("email", half - 1, 1)):
        rows = recipients.unpaged(outreach, 2, channel, SIZE, after=after)
        assert len(rows) == SIZE
        recipients.add_page(outreach, 2, number, channel, {row.id: "content" for row in rows}, "d")
    assert len(alternates.unpaged(outreach, 2, "email", SIZE // 2, after=-1)) == SIZE // 2
    recipients.rows_on(outreach, 1, 0, 3)


def read_page(database: Database, outreach: str) -> None:
    """Reads pages as approvals are checked: of first choices, and of alternates."""
    assert len(Recipients(database).page(outreach, 1, 3)) == SIZE
    assert len(Recipients(database).page(outreach, 1, PAGES[outreach] + 3)) == SIZE / 2


def walk(database: Database, outreach: str) -> None:
    """Goes through an audience in pages: whoever is still affected, what was sent, what is given with a condition."""
    receivers = Receivers(database, chunk=SIZE)
    for pages in (
        Recipients(database).subject_keys(outreach),
        receivers.sends(outreach, "initial"),
        receivers.copied(outreach, 1),
        Outreaches(database).subjects(outreach),
    ):
        for _ in zip(range(4), pages, strict=False):
            pass


def keep(database: Database, outreach: str) -> None:
    """Empties one batch of an audience whose time has come."""
    Outreaches(database).close(outreach, ending="measured", reason="", at=NOON)
    assert Retention(database, kept=DAY).tidy(now=NOON + 9 * DAY, batches=1).recipients == BATCH
    with database.write() as session:
        session.execute(text("UPDATE outreaches SET closed_at = NULL"))


def measured(database: Database, work: Callable[[Database, str], None]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns what each statement of some work costs in the small outreach, and in the great one."""
    meters = {outreach: Meter(database) for outreach in PAGES}
    for outreach, meter in meters.items():
        with meter.on():
            work(database, outreach)
    return meters[SMALL].costs, meters[GREAT].costs


def grown_costs(database: Database, small: dict[str, int], great: dict[str, int]) -> dict[str, tuple[int, int]]:
    floor = STEPS if database.is_sqlite else 2 * SIZE
    return {sql: (small[sql], great[sql]) for sql in great if great[sql] > ALLOWED * max(small[sql], floor)}


@pytest.mark.parametrize(
    "work", [dispatch, reconcile, take_receipts, ask_again, randomise, plan, read_page, walk, keep]
)
def test_a_page_costs_the_same_in_an_outreach_of_any_size(
    grown: Database, work: Callable[[Database, str], None], figure: Figure
) -> None:
    small, great = measured(grown, work)
    unit = "steps" if grown.is_sqlite else "rows"
    figure(f"{work.__name__} of a page, {unit}: {sum(small.values()):,} of 5 pages, {sum(great.values()):,} of 20")
    assert grown_costs(grown, small, great) == {}


@pytest.mark.parametrize(("index", "work"), [("alternates_page", read_page), ("sends_page", dispatch)])
def test_a_missing_index_would_be_noticed(grown: Database, index: str, work: Callable[[Database, str], None]) -> None:
    made = next(one for table in SQLModel.metadata.sorted_tables for one in table.indexes if one.name == index)
    with grown.write() as session:
        made.drop(session.connection())
    found = grown_costs(grown, *measured(grown, work))
    with grown.write() as session:
        made.create(session.connection())
    assert found != {}
