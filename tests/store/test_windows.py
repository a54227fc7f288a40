"""Windows: every account in its own, once, in the arm of its first draw, whatever else is open for it."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import bindparam, text
from sqlmodel import col, update

from tellfirst.domain.figures import ArmFigures, Sums
from tellfirst.store.accounts import Accounts
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database, Instant
from tellfirst.store.tables import CustomerRow, OutreachRow, RecipientRow
from tellfirst.store.windows import Windows, figures
from tests.store.make import DAY, HOUR, NOON, OUTREACH, by, candidate, claim, customers, freeze, paged

REASON, ELSE = "where_is_my_order", "refund_status"
W = 3 * DAY
END = NOON + W
INSTANT = timedelta(microseconds=1)
OTHER = "outreach/late_delivery/k-2/1"


class Office:
    """Is an outreach with accounts, and the contacts that come."""

    def __init__(self, database: Database) -> None:
        self.database, self.contacts, self.windows = database, Contacts(database), Windows(database)
        self.number = 0

    def outreach(
        self, *drawn: tuple[str, str], outreach: str = OUTREACH, t0: datetime = NOON, share: float = 0.5
    ) -> None:
        """Opens an outreach of (customer, arm), each an account of its own, or (customer@account, arm)."""
        claim(self.database, outreach)
        freeze(self.database, outreach)
        people = [name.partition("@") for name, _ in drawn]
        rows = paged(self.database, [candidate(who, cluster=of or who) for who, _, of in people], outreach=outreach)
        rows.randomise(outreach, 1, by(cap_exempt=True, t0=t0), page=0)
        with self.database.write() as session:
            for (who, _, _), (_, arm) in zip(people, drawn, strict=True):
                mine = (col(RecipientRow.outreach_id) == outreach, col(RecipientRow.customer_id) == who)
                session.execute(update(RecipientRow).where(*mine).values(arm=arm, share=0.5))

    def came(self, who: str, at: datetime, reason: str = REASON, **more: object) -> None:
        self.number += 1
        given = Contact(id=f"k-{self.number}", customer=who, reason_code=reason, occurred_at=at, **more)  # type: ignore[arg-type]
        self.contacts.save([given], source="desk", through=None, now=NOON)

    def arm(self, arm: str = "treated", outreach: str = OUTREACH, *, until: datetime | None = None) -> ArmFigures:
        counted = self.windows.count(outreach, until=until)
        assert counted is not None
        return next(one for one in counted.figures if one.arm == arm)


@pytest.fixture
def office(database: Database) -> Office:
    """Returns three accounts: two of one member, treated and control, and a household of two that is treated."""
    made = Office(database)
    customers(database, [f"c-{n}" for n in range(6)])
    made.outreach(("c-1", "treated"), ("c-2", "control"), ("c-3@home", "treated"), ("c-4@home", "treated"))
    with database.write() as session:
        session.execute(update(CustomerRow).where(col(CustomerRow.id).in_(["c-3", "c-4"])).values(cluster="home"))
    return made


@pytest.mark.parametrize(
    ("at", "inside", "before"),
    [
        (NOON - W - INSTANT, 0, 0),
        (NOON - W, 0, 1),
        (NOON - INSTANT, 0, 1),
        (NOON, 1, 0),
        (END - INSTANT, 1, 0),
        (END, 0, 0),
    ],
)
def test_window_and_the_time_before_it_include_their_beginning_alone(
    office: Office, at: datetime, inside: int, before: int
) -> None:
    office.came("c-1", at)
    found = office.arm()
    assert (found.contacted, found.contacts.y, found.contacts.x) == (inside, inside, before)
    assert (found.anyhow, found.all_contacts.y, found.all_contacts.x) == (inside, inside, before)


def test_edges_are_instants_in_whatever_zone_they_are_told(office: Office) -> None:
    office.came("c-1", NOON.astimezone(ZoneInfo("America/New_York")))
    office.came("c-1", (END - INSTANT).astimezone(ZoneInfo("Asia/Kolkata")))
    office.came("c-1", END.astimezone(ZoneInfo("Asia/Kolkata")))
    assert office.arm().contacts.y == 2


def test_everything_is_counted_by_account_before_it_is_by_arm(office: Office) -> None:
    for who, reason in (("c-3", REASON), ("c-4", REASON), ("c-4", ELSE), ("c-1", ELSE), ("c-2", REASON)):
        office.came(who, NOON + HOUR, reason)
    office.came("c-3", NOON - HOUR)
    found = office.arm()
    assert (found.clusters, found.contacted, found.elsewhere, found.anyhow, found.repeated) == (2, 1, 2, 2, 1)
    assert found.contacts == Sums(n=2, y=2, yy=4, x=1, xx=1, xy=2)
    assert found.all_contacts == Sums(n=2, y=4, yy=10, x=1, xx=1, xy=3)
    held = office.arm("control")
    assert (held.clusters, held.contacted, held.elsewhere, held.repeated) == (1, 1, 0, 0)


def test_who_was_not_drawn_does_not_count(office: Office) -> None:
    office.came("c-5", NOON)
    assert sum(one.contacted + one.anyhow for one in (office.arm(), office.arm("control"))) == 0
    assert office.windows.count("outreach/unknown/x/1") is None


def test_account_with_rows_in_two_waves_is_one_from_its_first(office: Office) -> None:
    with office.database.write() as session:
        later = {"t0": NOON + DAY, "window_end": END + DAY}
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == "c-4").values(**later))
    office.came("c-4", NOON + HOUR)
    office.came("c-4", END)  # within the second wave's window, and past the first's
    found = office.arm()
    assert (found.clusters, found.contacted, found.contacts.y) == (2, 1, 1)
    counted = office.windows.count(OUTREACH)
    assert counted is not None
    assert (counted.first_t0, counted.last_t0) == (NOON, NOON)


@pytest.mark.parametrize(("first", "arm"), [("c-1", "treated"), ("c-2", "control")])
def test_merged_accounts_are_one_whose_first_assignment_stands(office: Office, first: str, arm: str) -> None:
    with office.database.write() as session:
        second = "c-2" if first == "c-1" else "c-1"
        later = {"t0": NOON + DAY, "window_end": END + DAY}
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == second).values(**later))
    office.came("c-1", NOON + HOUR)
    office.came("c-2", NOON + HOUR)
    office.came("c-2", END)  # past the window of the first
    Accounts(office.database).merge("c-2", "c-1", by="ana", now=END)
    counted = office.windows.count(OUTREACH)
    assert counted is not None
    assert {one.arm: one.clusters for one in counted.figures} == {"treated": 2 if arm == "treated" else 1} | (
        {"control": 1} if arm == "control" else {}
    )
    found = office.arm(arm)
    assert (found.crossed, found.contacted, found.repeated, found.contacts.y) == (1, 1, 1, 2)


def test_merged_accounts_of_one_arm_did_not_cross(office: Office) -> None:
    Accounts(office.database).merge("home", "c-1", by="ana", now=END)
    office.came("c-4", NOON)
    found = office.arm()
    assert (found.clusters, found.crossed, found.contacted) == (1, 0, 1)


@pytest.mark.parametrize("earlier", [OUTREACH, OTHER])
def test_contact_counts_for_the_first_open_window_of_its_reason(database: Database, earlier: str) -> None:
    office = Office(database)
    later = OTHER if earlier == OUTREACH else OUTREACH
    for outreach, t0 in ((OUTREACH, NOON), (OTHER, NOON)):
        office.outreach(("c-1", "treated"), outreach=outreach, t0=t0 + (DAY if outreach == later else 0 * DAY))
    office.came("c-1", NOON + HOUR)  # of the earlier alone
    office.came("c-1", NOON + 2 * DAY)  # both are open
    office.came("c-1", END)  # the earlier is closed
    office.came("c-1", NOON + 2 * DAY, ELSE)
    first, second = office.arm(outreach=earlier), office.arm(outreach=later)
    assert (first.contacts.y, first.all_contacts.y, first.elsewhere) == (2, 3, 1)
    assert (second.contacts.y, second.all_contacts.y, second.elsewhere) == (1, 2, 1)
    # Before t0 it is no effect of anybody's: it adjusts for habit, in each.
    assert (first.contacts.x, second.contacts.x) == (0, 1)


def test_of_windows_that_begin_together_one_is_the_first(database: Database) -> None:
    office = Office(database)
    for outreach in (OUTREACH, OTHER):
        office.outreach(("c-1", "treated"), outreach=outreach)
    office.came("c-1", NOON)
    assert [office.arm(outreach=name).contacted for name in (OUTREACH, OTHER)] == [1, 0]


def test_third_window_waits_for_the_longest_of_the_earlier_ones(database: Database) -> None:
    office = Office(database)
    third = "outreach/late_delivery/k-3/1"
    for outreach, t0 in ((OUTREACH, NOON), (OTHER, NOON + HOUR), (third, NOON + 2 * HOUR)):
        office.outreach(("c-1", "control"), outreach=outreach, t0=t0)
    with database.write() as session:
        mine = col(RecipientRow.outreach_id) == OTHER
        session.execute(update(RecipientRow).where(mine).values(window_end=NOON + 2 * HOUR))
    office.came("c-1", END - HOUR)
    assert [office.arm("control", name).contacted for name in (OUTREACH, OTHER, third)] == [1, 0, 0]
    office.came("c-1", END)
    assert [office.arm("control", name).contacted for name in (OUTREACH, OTHER, third)] == [1, 0, 1]


def test_windows_of_other_reasons_and_of_rows_never_drawn_take_nothing(database: Database) -> None:
    office = Office(database)
    for outreach, t0 in ((OTHER, NOON - DAY), (OUTREACH, NOON)):
        office.outreach(("c-1", "treated"), outreach=outreach, t0=t0)
    office.came("c-1", NOON + HOUR)
    assert office.arm().contacted == 0
    with database.write() as session:
        session.execute(update(OutreachRow).where(col(OutreachRow.id) == OTHER).values(reason_code=ELSE))
    assert office.arm().contacted == 1


def test_handle_times_that_are_missing_are_as_long_as_others_of_their_reason(office: Office) -> None:
    office.came("c-1", NOON, handle_seconds=100)
    office.came("c-2", NOON, handle_seconds=301)
    office.came("c-1", NOON + HOUR)
    office.came("c-2", NOON + HOUR, ELSE)  # no other of its reason has one
    found, held = office.arm(), office.arm("control")
    assert (found.seconds.y, found.seconds.yy, found.untimed) == (301, 301**2, 1)
    assert (held.seconds.y, held.untimed) == (301, 1)


def test_time_to_resolution_is_of_contacts_about_the_reason_in_the_window(office: Office) -> None:
    office.came("c-1", NOON, resolved_at=NOON + timedelta(seconds=90))
    office.came("c-1", NOON, resolved_at=NOON + timedelta(seconds=10))
    office.came("c-1", NOON)
    office.came("c-1", NOON, ELSE, resolved_at=NOON + HOUR)
    office.came("c-1", NOON - HOUR, resolved_at=NOON)
    found = office.arm()
    assert (found.resolved, found.resolution) == (2, Sums(n=2, y=100, yy=8_200))


@pytest.mark.parametrize(("at", "counts"), [(NOON - INSTANT, 0), (NOON, 1), (END - INSTANT, 1), (END, 0)])
def test_opt_out_counts_in_the_window_once_an_account(office: Office, at: datetime, counts: int) -> None:
    Consents(office.database).opt_out(["c-3", "c-4", "c-5"], channel="sms", at=at, source="reply")
    assert (office.arm().opted_out, office.arm("control").opted_out) == (counts, 0)


def test_shares_are_kept_apart(database: Database) -> None:
    office = Office(database)
    office.outreach(("c-1", "treated"), ("c-2", "treated"))
    with database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == "c-2").values(share=0.1))
    counted = office.windows.count(OUTREACH)
    assert counted is not None
    assert [(one.arm, one.share, one.clusters) for one in counted.figures] == [("treated", 0.1, 1), ("treated", 0.5, 1)]


def test_windows_that_end_later_can_be_left_out(office: Office) -> None:
    with office.database.write() as session:
        later = {"t0": NOON + DAY, "window_end": END + DAY}
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == "c-1").values(**later))
    assert office.arm(until=END).clusters == 1
    assert office.arm(until=END + DAY).clusters == 2
    assert [one.outreach for one in office.windows.running(until=END)] == [OUTREACH]
    assert office.windows.running(until=END - INSTANT) == []


MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
OTHERS = (
    "INSERT INTO recipients (outreach_id, revision, position, customer_id, subject_key, cluster, facts, others,"
    f" verdict, arm, share, t0, window_end) {MANY}"
    " SELECT 'outreach/x/' || i / 100 || '/1', 1, i, 'x-' || i, 'o', 'x-' || i,"
    " '{}', 0, 'eligible', 'treated', 0.5, :t0, :t0 FROM n",
    "INSERT INTO contacts (source, id, version, customer_id, cluster, reason_code, channel, occurred_at, imported_at)"
    f" {MANY} SELECT 'x', 'x-' || i, 1, 'x-' || i, 'x-' || i, 'r', '', :t0, :t0 FROM n",
)


@pytest.mark.parametrize("beside", [[], ["outreach/x/1/1", "outreach/x/2/1"]])
def test_closing_one_outreach_reads_by_index_what_is_its_own(office: Office, beside: list[str]) -> None:
    with office.database.write() as session:
        for statement in OTHERS:
            session.execute(text(statement).bindparams(bindparam("t0", NOON, Instant)))
        session.execute(text("ANALYZE"))
    query = figures([OUTREACH], beside, until=None, sqlite=office.database.is_sqlite)
    written = str(query.compile(office.database.engine, compile_kwargs={"literal_binds": True}))
    how = "EXPLAIN QUERY PLAN " if office.database.is_sqlite else "EXPLAIN "
    with office.database.read() as session:
        plan = [str(row[-1]) for row in session.connection().exec_driver_sql(how + written)]
    for name in ("contacts", "recipients"):
        reading = [line for line in plan if re.search(rf"\b(on|SCAN|SEARCH) {name}\b", line)]
        assert reading, plan
        assert not [line for line in reading if "SCAN" in line or "Seq Scan" in line], plan
    assert any("contacts_cluster" in line for line in plan)
