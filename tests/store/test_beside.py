"""What is counted beside the figures: each message once, each account once, and each by what it was drawn into."""

from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select, update

from tellfirst.channels.receipts import ENGAGEMENTS
from tellfirst.domain.beside import BesideCounts, ChannelCount
from tellfirst.domain.message import SendState
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.units import units
from tellfirst.policy.prices import Prices
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.account_events import AccountEvents, AccountNews
from tellfirst.store.beside import Besides
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.decisions import DecisionRecord, Decisions
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.replies import Incoming, Replies
from tellfirst.store.tables import ReceiptRow, RecipientRow, SendRow
from tellfirst.store.tables_contacts import MergeRow
from tests.store.desk import Desk
from tests.store.make import DAY, HOUR, NOON, OUTREACH, freeze

REASON = "where_is_my_order"
BOOK = load_library([LIBRARY])["late_delivery"]
PRICES = Prices(currency="EUR", each={"sms": Decimal("0.05"), "email": Decimal("0.001")})


def of(database: Database, prices: Prices | None = None) -> BesideCounts:
    [found] = Besides(database, engagements=ENGAGEMENTS, prices=prices).of(REASON, [OUTREACH])
    return found


def mailed(database: Database, adapter: str = "sendgrid", channel: str = "email") -> None:
    with database.write() as session:
        session.execute(update(SendRow).values(adapter=adapter, channel=channel))


def receipt(database: Database, customer: str, status: str, *, provider: str = "sendgrid", named: bool = True) -> None:
    with database.write() as session:
        send = session.exec(select(SendRow).where(SendRow.customer_id == customer)).one()
        session.add(
            ReceiptRow(
                provider=provider,
                provider_id=send.id if named else send.provider_id,
                send_id=send.id if named else None,
                status=status,
                received_at=NOON,
            )
        )


def test_each_message_is_read_once_and_machines_stand_apart(told: Desk, database: Database) -> None:
    mailed(database)
    # c-0 accepted, c-1 delivered, c-4 undelivered; nobody reads what was lost.
    for status in ("machine_open", "open", "click", "delivered"):
        receipt(database, "c-0", status)
    receipt(database, "c-1", "machine_open", named=False)
    receipt(database, "c-4", "open")
    receipt(database, "c-1", "read", provider="twilio")  # of somebody else's message
    assert of(database).channels == (ChannelCount(channel="email", sent=2, opened=1, machine=1, clicked=1),)


def test_a_channel_that_reports_nothing_has_no_reading(told: Desk, database: Database) -> None:
    assert of(database).channels == (ChannelCount(channel="sms", sent=2),)


@pytest.mark.parametrize("how", ["open", "email.opened"])
def test_what_does_not_say_who_opened_may_be_a_machine(told: Desk, database: Database, how: str) -> None:
    provider = "resend" if how.startswith("email.") else "sendgrid"
    mailed(database, provider)
    receipt(database, "c-0", how, provider=provider)
    [email] = of(database).channels
    assert (email.opened, email.machine) == ((0, 1) if provider == "resend" else (1, 0))


def reply(database: Database, number: int, kind: Kind = Kind.REPLY, tone: Any = "thanks", *, late: int = 1) -> None:
    """Replies as the owner of the n-th address, so many hours after t0."""
    incoming = Incoming(id=f"twilio:SM{number}-{late}", channel="sms", address=f"+1555{number:07d}", text="hi")
    Replies(database).take(incoming, Reading(kind=kind, tone=tone), now=NOON + late * HOUR)


def test_replies_are_counted_by_tone_and_as_contacts_in_their_window(told: Desk, database: Database) -> None:
    freeze(database)
    reply(database, 0)
    reply(database, 1, tone="angry")
    reply(database, 0, late=72)  # the window is over then
    reply(database, 1, Kind.OPT_OUT, tone="", late=2)
    assert of(database).tones == {"thanks": 2, "angry": 1}
    assert of(database).replied == 2


def arms(database: Database, **arms: str) -> None:
    with database.write() as session:
        for customer, arm in arms.items():
            one = col(RecipientRow.customer_id) == customer.replace("_", "-")
            session.execute(update(RecipientRow).where(one).values(arm=arm, share=0.5))


def settled(database: Database) -> dict[str, tuple[int, int]]:
    return {one.arm: (one.settled, one.clusters) for one in of(database).settled if one.share == 0.5}


def test_who_never_came_and_is_affected_no_more_is_settled(told: Desk, database: Database) -> None:
    arms(database, c_0="treated", c_1="treated", c_2="treated", c_3="control", c_4="control")
    for customer, cleared in (("c-0", DAY), ("c-1", DAY), ("c-2", 3 * DAY), ("c-3", DAY)):
        told.set_recipient(customer, cleared_at=NOON + cleared)
    contacts = [
        Contact(id="1", customer="c-1", reason_code=REASON, occurred_at=NOON),
        Contact(id="2", customer="c-0", reason_code="other", occurred_at=NOON),
        Contact(id="3", customer="c-3", reason_code=REASON, occurred_at=NOON + 3 * DAY),
    ]
    Contacts(database).save(contacts, source="desk", through=None, now=NOON)
    # c-1 came, c-2's was over only with its window, c-4's is not over.
    assert settled(database) == {"treated": (1, 3), "control": (1, 2)}
    told.set_recipient("c-4", t0=None)  # as of those whom a correction reached
    assert settled(database)["control"] == (1, 1)


def test_an_account_is_settled_as_a_whole_and_read_through_merges(told: Desk, database: Database) -> None:
    arms(database, c_0="treated", c_1="treated", c_2="treated")
    for customer in ("c-0", "c-1"):
        told.set_recipient(customer, cluster="home", cleared_at=NOON + DAY)
    told.set_recipient("c-2", cleared_at=NOON + DAY)
    assert settled(database) == {"treated": (2, 2)}
    told.set_recipient("c-1", cleared_at=None)
    assert settled(database) == {"treated": (1, 2)}
    with database.write() as session:
        session.add(MergeRow(old="c-2", into="c-9", at=NOON, by="import"))
    Contacts(database).save(
        [Contact(id="1", customer="c-9", reason_code=REASON, occurred_at=NOON)], source="desk", through=None, now=NOON
    )
    assert settled(database) == {"treated": (0, 2)}


def priced(database: Database, text: str = BOOK.text) -> None:
    """Makes the outreach one of the shipped playbook."""
    outreaches = Outreaches(database)
    outreaches.keep_playbook(BOOK.version, "late_delivery", text, now=NOON)
    outreaches.open_revision(OUTREACH, 1, BOOK.version, now=NOON)


def test_messages_cost_what_was_asked_money_for(told: Desk, database: Database) -> None:
    priced(database)
    # Accepted, delivered, undelivered and unknown are paid for; failed and in doubt are not.
    each = units(BOOK.playbook, "initial", "sms", "en")
    found = of(database, PRICES)
    assert (found.message_micros, found.currency) == (4 * each * 50_000, "EUR")
    assert of(database).message_micros is None


def test_what_has_no_price_leaves_the_cost_open(told: Desk, database: Database) -> None:
    priced(database)
    assert of(database, Prices(currency="EUR", each={"email": Decimal(1)})).message_micros is None


def test_a_playbook_of_an_older_schema_leaves_the_cost_open(told: Desk, database: Database) -> None:
    priced(database, "id = 'of long ago'")
    assert of(database, PRICES).message_micros is None


def test_nothing_sent_cost_nothing(desk: Desk, database: Database) -> None:
    found = of(database, PRICES)
    assert (found.message_micros, found.channels) == (0, ())


def test_decisions_are_the_time_of_people(told: Desk, database: Database) -> None:
    freeze(database)
    decisions = Decisions(database)
    record = DecisionRecord(
        about=OUTREACH, revision=1, decision="approve", approver="eve", fingerprint="f", accepted=True, code="",
        envelope={"n": 1}, received_at=NOON,
    )  # fmt: skip
    decisions.refuse(record.model_copy(update={"accepted": False, "code": "bad_signature"}))
    assert decisions.accept(record, status="approved", good=list).taken
    assert of(database).approvals == 1


def news(account: str, event: Any, after: float, value: int | None = None) -> AccountNews:
    return AccountNews(account=account, event=event, at=NOON + after * DAY, value_minor=value)


def accounts(database: Database) -> dict[tuple[str, int], tuple[int, dict[Any, int], float]]:
    return {
        (one.arm, one.days): (one.accounts, one.events, one.value.y)
        for one in of(database).accounts
        if one.share == 0.5
    }


def test_what_became_of_accounts_is_counted_by_arm_and_time(told: Desk, database: Database) -> None:
    arms(database, c_0="treated", c_1="treated", c_2="control", c_3="control")
    told.set_recipient("c-4", t0=None, arm=None)
    told.set_recipient("c-5", t0=None, arm=None)
    AccountEvents(database).save(
        [
            news("c-0", "churned", 29.9, 1_000),
            news("c-1", "expanded", 0, 500),
            news("c-1", "expanded", 1, 200),
            news("c-1", "retained", 30),  # the first day after the 30
            news("c-2", "contracted", 40, 300),
            news("c-3", "churned", -1, 9_000),  # before
            news("c-9", "retained", 60),  # of nobody: it says that events are known so far
        ],
        source="billing",
        now=NOON,
    )
    assert accounts(database) == {
        ("treated", 30): (2, {"churned": 1, "expanded": 1}, -300),
        ("control", 30): (2, {}, 0),
    }
    corrected = [news("c-2", "retained", 40), news("c-9", "retained", 90)]
    AccountEvents(database).save(corrected, source="billing", now=NOON)
    assert accounts(database)["treated", 90] == (2, {"churned": 1, "expanded": 1, "retained": 1}, -300)
    assert accounts(database)["control", 90] == (2, {"retained": 1}, 0)


def test_events_of_a_merged_account_are_of_the_one_that_was_drawn(told: Desk, database: Database) -> None:
    arms(database, c_0="treated", c_1="control")
    with database.write() as session:
        session.add(MergeRow(old="c-0", into="c-8", at=NOON, by="import"))
        session.add(MergeRow(old="c-7", into="c-8", at=NOON, by="import"))
    told_of = [news("c-8", "expanded", 1), news("c-7", "contracted", 2), news("c-0", "retained", 3)]
    AccountEvents(database).save([*told_of, news("c-9", "retained", 30)], source="billing", now=NOON)
    assert accounts(database)["treated", 30][1] == {"expanded": 1, "contracted": 1, "retained": 1}
    assert accounts(database)["control", 30][1] == {}


def test_many_outreaches_are_counted_each_for_itself(told: Desk, database: Database) -> None:
    other = "outreach/late_delivery/k-2/1"
    found = Besides(database, engagements=ENGAGEMENTS).of(REASON, [other, OUTREACH])
    assert [(one.outreach, bool(one.channels)) for one in found] == [(other, False), (OUTREACH, True)]


def test_what_is_in_flight_or_failed_was_not_read(told: Desk, database: Database) -> None:
    for row in told.rows():
        told.set_state(row.id, SendState.FAILED)
    assert of(database).channels == ()
