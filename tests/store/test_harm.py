"""Harm so far: whom it is counted of, from which instant, and what is kept of a crossing."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select, update

from tellfirst.domain.message import SendState
from tellfirst.measurement.harm import ArmSoFar, SoFar, Standing
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.accounts import Accounts
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.escalations import Escalations
from tellfirst.store.exceptions import Exceptions
from tellfirst.store.feed import Feed
from tellfirst.store.harm import WATCH, Harm
from tellfirst.store.replies import Incoming, Replies
from tellfirst.store.tables import RecipientRow
from tellfirst.store.tables_feed import FeedEventRow
from tests.store.desk import Desk
from tests.store.make import DAY, HOUR, NOON, OUTREACH, at_once, claim
from tests.store.test_exceptions import budgets, new
from tests.store.test_notices import escalation

LATER = NOON + HOUR / 2
CROSSED = Standing(rule="opt_out", figure=0.15, bound=0.078, limit=0.05, words="30 of 200 told opted out")


@pytest.fixture
def desk(database: Database) -> Desk:
    """Is an outreach that four messages left from and one did not; c-0 and c-1 are one account, c-5 is held out."""
    made = Desk(database)
    made.set_recipient("c-1", cluster="c-0")
    made.deliver({f"c-{n}": SendState.ACCEPTED for n in range(4)} | {"c-4": SendState.FAILED, "c-5": SendState.FAILED})
    made.set_recipient("c-5", arm="control")
    return made


def so_far(desk: Desk, now: datetime = LATER) -> SoFar:
    return Harm(desk.database).so_far(OUTREACH, now=now)


def reply(desk: Desk, customer: str, tone: str = "", kind: Kind = Kind.REPLY, *, at: datetime = LATER) -> None:
    sent = next(send for send, who in desk.whose().items() if who == customer)
    incoming = Incoming(id=f"{customer}-{tone}-{kind}-{at}", channel="sms", refers=(sent,))
    assert Replies(desk.database).take(incoming, Reading(kind=kind, tone=tone), now=at)


def call(desk: Desk, customer: str, at: datetime, *, through: datetime | None = None) -> None:
    contact = Contact(id=f"k-{customer}-{at}", customer=customer, reason_code="anything", occurred_at=at)
    Contacts(desk.database).save([contact], source="helpdesk", through=through, now=NOON)


def test_accounts_are_told_whose_message_left(desk: Desk) -> None:
    assert so_far(desk) == SoFar(told=3, hours=1, day=1)


def test_nothing_is_counted_before_anything_left(database: Database) -> None:
    Desk(database)
    assert Harm(database).so_far(OUTREACH, now=LATER) == SoFar()
    assert Harm(database).watched() == []


def test_open_outreaches_that_sent_something_are_watched(desk: Desk) -> None:
    claim(desk.database, "outreach/late_delivery/k-2/1")
    assert Harm(desk.database).watched() == [OUTREACH]
    claim(desk.database).close(OUTREACH, ending="measured", reason="", at=LATER)
    assert Harm(desk.database).watched() == []


def test_an_opt_out_counts_of_those_told_from_then_on_and_once_an_account(desk: Desk) -> None:
    consents = Consents(desk.database)
    consents.opt_out(["c-2"], channel="sms", at=NOON - HOUR, source="before")
    consents.opt_out(["c-4", "c-5"], channel="sms", at=LATER, source="untold")
    assert so_far(desk).opted_out == 0
    consents.opt_out(["c-0", "c-1"], channel="sms", at=LATER, source="reply")
    consents.opt_out(["c-3"], channel="email", at=NOON, source="page")
    assert so_far(desk).opted_out == 2


def test_a_bad_tone_counts_once_an_account(desk: Desk) -> None:
    for customer, tone in (("c-0", "angry"), ("c-1", "why"), ("c-2", "thanks"), ("c-3", "neutral")):
        reply(desk, customer, tone)
    assert so_far(desk).negative == 1
    reply(desk, "c-3", "why")
    assert so_far(desk).negative == 2


def test_contacts_are_compared_by_t0_up_to_the_watermark(desk: Desk) -> None:
    call(desk, "c-0", NOON)
    assert so_far(desk).treated == ArmSoFar(), "nobody knows how far contacts are here"
    call(desk, "c-5", NOON + HOUR, through=NOON + HOUR)
    assert (so_far(desk).treated, so_far(desk).control) == (
        ArmSoFar(accounts=4, contacted=1),
        ArmSoFar(accounts=1, contacted=0),
    ), "a contact at the watermark is not known to be complete"
    reply(desk, "c-2", "thanks", at=NOON + 2 * HOUR)
    call(desk, "c-3", NOON - HOUR)
    call(desk, "c-1", NOON, through=NOON + 90 * timedelta(minutes=1))
    assert so_far(desk).treated == ArmSoFar(accounts=4, contacted=1), "a reply is here before its watermark is"
    assert so_far(desk).control == ArmSoFar(accounts=1, contacted=1)


def test_a_contact_at_the_windows_end_does_not_count(desk: Desk) -> None:
    call(desk, "c-2", NOON + 3 * DAY, through=NOON + 9 * DAY)
    assert so_far(desk).treated.contacted == 0
    call(desk, "c-2", NOON + 3 * DAY - timedelta(microseconds=1))
    assert so_far(desk).treated.contacted == 1


def test_who_was_drawn_behind_the_watermark_is_in_neither_arm_yet(desk: Desk) -> None:
    desk.set_recipient("c-3", t0=NOON + DAY)
    call(desk, "c-2", NOON, through=NOON + HOUR)
    assert so_far(desk).treated.accounts == 3


def test_contacts_of_merged_accounts_count(desk: Desk) -> None:
    Customers(desk.database).save([CustomerRecord(id="c-9", cluster="big", addresses={})], now=NOON, source="test")
    Accounts(desk.database).merge("c-2", "big", by="ana", now=NOON)
    call(desk, "c-9", NOON, through=NOON + DAY)
    assert so_far(desk).treated.contacted == 1


def test_the_load_is_what_people_have_to_do_for_it_since_the_day_began(desk: Desk) -> None:
    for kind in (Kind.REPLY, Kind.DOUBTFUL, Kind.OPT_OUT, Kind.HELP, Kind.AUTOMATIC):
        reply(desk, "c-0", kind=kind)
    Exceptions(desk.database).claim(new(opened_at=LATER), budgets())
    escalations = Escalations(desk.database)
    for number, (about, kind) in enumerate(
        [(OUTREACH, "raised"), ("exception/r-1", "overdue"), (OUTREACH, "harm"), ("exception/other", "overdue")]
    ):
        escalations.keep(escalation(f"e-{number}", about, kind=kind, opened_at=LATER), at=LATER)
    assert so_far(desk).load == 2 + 1 + 2
    assert so_far(desk, NOON + 6 * HOUR).hours == 6
    reply(desk, "c-3", at=NOON + 25 * HOUR)
    tomorrow = so_far(desk, NOON + 27 * HOUR)
    assert (tomorrow.day, tomorrow.hours, tomorrow.load) == (2, 3, 1)


def test_a_crossing_is_kept_once_until_it_is_accepted(desk: Desk) -> None:
    harm, feed = Harm(desk.database), Feed(desk.database)
    feed.register({"desk": ["harm.*"]}, now=NOON)
    made = at_once([lambda: harm.record(OUTREACH, CROSSED, at=LATER)] * 4)
    assert {event.number for event in made} == {1}
    assert harm.events(OUTREACH) == [made[0]]
    harm.accept(OUTREACH, {"opt_out": 0.18}, at=LATER)
    harm.accept(OUTREACH, {"opt_out": 0.50}, at=LATER)
    again = harm.record(OUTREACH, CROSSED, at=LATER)
    assert [(e.number, e.accepted) for e in harm.events(OUTREACH)] == [(1, 0.18), (2, None)]
    assert again.number == 2
    with desk.database.read() as session:
        told = [
            (row.type, row.data["number"]) for row in session.exec(select(FeedEventRow).order_by(col(FeedEventRow.id)))
        ]
    assert told == [("harm.seen", 1), ("harm.seen", 2)]
    entries = [e for e in Chain(desk.database).entries() if e.kind == "harm"]
    assert [(e.about, e.actor) for e in entries] == [(OUTREACH, WATCH)] * 2
    assert entries[0].facts == {"rule": "opt_out", "figure": "0.15", "bound": "0.078", "limit": "0.05"}


def test_a_figure_of_nobody_is_held_against_nothing(desk: Desk) -> None:
    with desk.database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.arm) == "control").values(arm=None))
    call(desk, "c-2", NOON, through=NOON + DAY)
    assert so_far(desk).control == ArmSoFar()
