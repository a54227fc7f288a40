"""Measuring: an outcome is recorded once, and anew when contacts of its windows come late; never edited."""

import pytest
from sqlmodel import col, select, update

from activities.measuring import Measuring
from tellfirst.domain.figures import OutcomeRecord
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.feed import Feed
from tellfirst.store.late import Late
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.phases import Phases
from tellfirst.store.tables import OutcomeRow, RecipientRow
from tellfirst.store.tables_feed import FeedEventRow
from tellfirst.store.windows import Windows
from tests.store.make import DAY, HOUR, NOON, OUTREACH, by, candidate, claim, customers, freeze, paged

REASON = "where_is_my_order"
END = NOON + 3 * DAY
CLOSED = END + HOUR
LATER = CLOSED + DAY


class Office:
    """Is an outreach of 40 told and 40 held out, whose contacts come."""

    def __init__(self, database: Database) -> None:
        self.database, self.contacts, self.outcomes = database, Contacts(database), Outcomes(database)
        self.measuring = Measuring(
            windows=Windows(database),
            phases=Phases(database),
            contacts=self.contacts,
            outcomes=self.outcomes,
            late=Late(database),
        )
        people = [f"c-{n}" for n in range(80)]
        customers(database, people)
        claim(database)
        freeze(database)
        rows = paged(database, [candidate(one) for one in people])
        rows.randomise(OUTREACH, 1, by(0.5, cap_exempt=True), page=0)
        with database.write() as session:
            for arm, some in (("treated", people[:40]), ("control", people[40:])):
                session.execute(update(RecipientRow).where(col(RecipientRow.customer_id).in_(some)).values(arm=arm))
        Feed(database).register({"desk": ["outcome.recorded"]}, now=NOON)

    def came(self, *people: int, now: object = NOON, through: object = None, **more: object) -> None:
        given = [
            Contact(id=f"k-{n}", customer=f"c-{n}", reason_code=REASON, occurred_at=NOON + HOUR, **more)  # type: ignore[arg-type]
            for n in people
        ]
        self.contacts.save(given, source="desk", through=through, now=now)  # type: ignore[arg-type]

    def closes(self, at: object = CLOSED) -> str:
        return self.measuring.record(OUTREACH, reason_code=REASON, end=END, at=at).grade  # type: ignore[arg-type]

    def latest(self) -> OutcomeRecord:
        [found] = self.outcomes.latest()
        return found

    def told(self) -> list[int]:
        with self.database.read() as session:
            return [one.data["version"] for one in session.exec(select(FeedEventRow).order_by(col(FeedEventRow.id)))]


@pytest.fixture
def office(database: Database) -> Office:
    """Returns the outreach with 5 told and 15 held out who contacted, its window closed and measured."""
    made = Office(database)
    made.came(*range(5), *range(40, 55), through=END)
    assert made.closes() == "A"
    return made


def test_outcome_carries_the_figures_it_was_judged_by(office: Office) -> None:
    found = office.latest()
    assert {one.arm: (one.clusters, one.contacted) for one in found.figures} == {
        "treated": (40, 5),
        "control": (40, 15),
    }
    assert (found.version, found.difference, found.counted) == (1, 5 / 40 - 15 / 40, True)
    assert (found.first_t0, found.last_t0, found.recorded_at) == (NOON, NOON, CLOSED)


def test_late_contact_is_a_new_version_that_others_are_told_of(office: Office) -> None:
    office.came(20, now=LATER)
    assert list(office.measuring.recount(since=CLOSED, at=LATER + HOUR)) == [OUTREACH]
    found = office.latest()
    assert (found.version, found.difference, found.recorded_at) == (2, 6 / 40 - 15 / 40, LATER + HOUR)
    assert office.told() == [1, 2]
    with office.database.read() as session:
        first = session.exec(select(OutcomeRow).where(OutcomeRow.version == 1, OutcomeRow.arm == "treated")).one()
        assert (first.contacted, first.recorded_at) == (5, CLOSED)


def test_withdrawn_contact_is_a_new_version(office: Office) -> None:
    office.came(0, now=LATER, withdrawn=True)
    assert list(office.measuring.recount(since=CLOSED, at=LATER)) == [OUTREACH]
    assert (office.latest().version, office.latest().difference) == (2, 4 / 40 - 15 / 40)


def test_what_changes_no_figure_adds_nothing(office: Office) -> None:
    office.came(0, now=LATER, channel="phone")
    assert list(office.measuring.recount(since=CLOSED, at=LATER)) == [OUTREACH]
    assert (office.latest().version, office.told()) == (1, [1])
    assert office.closes(LATER) == "A", "an attempt that is made again"
    assert office.latest().version == 1


def test_nothing_new_is_nothing_to_count(office: Office) -> None:
    assert list(office.measuring.recount(since=CLOSED + HOUR, at=LATER)) == []


def test_given_up_without_contacts_it_is_measured_once_they_are_here(database: Database) -> None:
    office = Office(database)
    assert not office.measuring.arrived(END)
    office.came(*range(5), *range(40, 55), through=END - HOUR)
    assert not office.measuring.arrived(END)
    assert (office.closes(), office.latest().counted) == ("E", False)
    office.came(through=END)
    assert list(office.measuring.recount(since=LATER + DAY, at=LATER)) == [OUTREACH]
    assert (office.latest().grade, office.latest().counted, office.latest().version) == ("A", True, 2)
    assert list(office.measuring.recount(since=LATER + DAY, at=LATER)) == []


def test_window_waits_for_the_source_that_is_farthest_behind(office: Office) -> None:
    assert office.measuring.arrived(END)
    office.contacts.save([], source="phone", through=END - HOUR, now=NOON)
    assert not office.measuring.arrived(END)


def test_several_hold_out_shares_are_compared_each_within_itself(office: Office) -> None:
    few = [f"c-{n}" for n in (*range(5, 30), *range(40, 50))]
    with office.database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id).in_(few)).values(share=0.3))
    assert office.closes(LATER) == "A"
    found = office.latest()
    assert sorted((one.arm, one.share, one.contacted, one.clusters) for one in found.figures) == [
        ("control", 0.3, 10, 10),
        ("control", 0.5, 5, 30),
        ("treated", 0.3, 0, 25),
        ("treated", 0.5, 5, 15),
    ]
    weights = [25 * 10 / 35, 15 * 30 / 45]
    assert found.difference == pytest.approx((weights[0] * -1 + weights[1] * (5 / 15 - 5 / 30)) / sum(weights))
    assert " % of 40" in found.sentence, "rates are weighted as the difference is"
