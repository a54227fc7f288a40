"""Late contacts: whose outcome is out of date, and nobody else's."""

from datetime import datetime

import pytest

from tellfirst.domain.figures import ArmFigures
from tellfirst.measurement.outcome import judge_figures
from tellfirst.store.accounts import Accounts
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.late import MARGIN, Late
from tellfirst.store.outcomes import Outcomes
from tests.store.make import DAY, HOUR, NOON, OUTREACH, by, candidate, claim, customers, freeze, paged

REASON = "where_is_my_order"
W = 3 * DAY
END = NOON + W
CLOSED = END + DAY
LATER = CLOSED + DAY
OTHER = "outreach/late_delivery/k-2/1"


class Desk:
    """Is two outreaches of one account each, closed; `OTHER` began later."""

    def __init__(self, database: Database) -> None:
        self.database, self.contacts, self.outcomes = database, Contacts(database), Outcomes(database)
        customers(database, ["c-1", "c-2", "c-3"])
        for outreach, who, t0 in ((OUTREACH, "c-1", NOON), (OTHER, "c-2", NOON + 20 * DAY)):
            claim(database, outreach)
            freeze(database, outreach)
            rows = paged(database, [candidate(who)], outreach=outreach)
            rows.randomise(outreach, 1, by(cap_exempt=True, t0=t0), page=0)
        self.closed(OUTREACH)

    def closed(self, outreach: str, *, arrived: bool = True) -> None:
        figures = [ArmFigures(arm=arm, share=0.5, clusters=50, contacted=9) for arm in ("treated", "control")]  # type: ignore[arg-type]
        outcome = judge_figures(figures, window_closed=True, watermark_passed=arrived, reason_code=REASON)
        self.outcomes.record(outreach, outcome, at=CLOSED, figures=figures)

    def came(self, who: str, at: datetime, *, now: datetime, id_: str = "k-1", **more: object) -> None:
        given = Contact(id=id_, customer=who, reason_code=REASON, occurred_at=at, **more)  # type: ignore[arg-type]
        self.contacts.save([given], source="desk", through=None, now=now)

    def stale(self, *, since: datetime = CLOSED, watermark: datetime | None = None) -> list[str]:
        return [one.outreach for one in Late(self.database).outreaches(since=since, watermark=watermark)]


@pytest.fixture
def desk(database: Database) -> Desk:
    """Returns the outreaches as they are when one has closed."""
    return Desk(database)


def test_what_comes_late_into_a_window_makes_its_outcome_stale(desk: Desk) -> None:
    desk.came("c-1", NOON, now=LATER)
    [stale] = Late(desk.database).outreaches(since=CLOSED, watermark=None)
    assert (stale.outreach, stale.reason_code, stale.end) == (OUTREACH, REASON, END)


@pytest.mark.parametrize(
    ("at", "stale"), [(NOON - W, [OUTREACH]), (NOON - W - HOUR, []), (END - HOUR, [OUTREACH]), (END, [])]
)
def test_only_windows_and_the_time_before_them_matter(desk: Desk, at: datetime, stale: list[str]) -> None:
    desk.came("c-1", at, now=LATER)
    assert desk.stale() == stale


def test_what_was_counted_is_not_late(desk: Desk) -> None:
    desk.came("c-1", NOON, now=CLOSED - MARGIN - HOUR)
    assert desk.stale(since=NOON) == []


def test_what_was_imported_while_it_was_counted_is_looked_at_again(desk: Desk) -> None:
    desk.came("c-1", NOON, now=CLOSED - MARGIN / 2)
    assert desk.stale() == [OUTREACH]


def test_what_was_heard_before_the_last_round_is_not_looked_at_again(desk: Desk) -> None:
    desk.came("c-1", NOON, now=LATER)
    assert desk.stale(since=LATER + MARGIN + HOUR) == []


def test_accounts_never_drawn_and_outreaches_still_open_have_no_outcome_to_correct(desk: Desk) -> None:
    desk.came("c-3", NOON, now=LATER)
    desk.came("c-2", NOON + 20 * DAY, now=LATER, id_="k-2")
    assert desk.stale() == []


def test_corrections_and_withdrawals_are_heard_where_the_contact_was(desk: Desk) -> None:
    desk.came("c-1", NOON, now=CLOSED - DAY)
    desk.came("c-1", NOON + 90 * DAY, now=LATER)  # it was another day
    assert desk.stale() == [OUTREACH]


def test_withdrawal_is_heard(desk: Desk) -> None:
    desk.came("c-1", NOON, now=CLOSED - DAY)
    assert desk.stale() == []
    desk.came("c-1", NOON, now=LATER, withdrawn=True)
    assert desk.stale() == [OUTREACH]


def test_contacts_of_merged_accounts_are_heard_under_either_name(desk: Desk) -> None:
    Accounts(desk.database).merge("c-1", "c-3", by="ana", now=CLOSED - DAY)
    desk.came("c-3", NOON, now=LATER)
    assert desk.stale() == [OUTREACH]


@pytest.mark.parametrize(("old", "into"), [("c-1", "c-3"), ("c-3", "c-1")])
def test_merge_itself_is_heard(desk: Desk, old: str, into: str) -> None:
    Accounts(desk.database).merge(old, into, by="ana", now=LATER)
    assert desk.stale() == [OUTREACH]
    assert desk.stale(since=LATER + DAY) == []


def test_outreach_given_up_without_contacts_is_counted_once_they_are_here(desk: Desk) -> None:
    desk.closed(OTHER, arrived=False)
    end = END + 20 * DAY
    assert desk.stale(watermark=end - HOUR) == []
    assert desk.stale(watermark=end) == [OTHER]
    desk.closed(OTHER)
    assert desk.stale(watermark=end) == []
