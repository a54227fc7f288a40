"""Replies: whose they are, which message they answer, and what is done for them in the same transaction."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tellfirst.policy.consent import may_contact
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.consents import Consents
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure
from tellfirst.store.gate_facts import Switches
from tellfirst.store.replies import ESCALATION, Incoming, Replies, reply_id
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_replies import ReplyRow
from tests.store.desk import Desk, step
from tests.store.make import NOON, OUTREACH, freeze

SMS = "+15550000000"  # of c-0
STOP = Reading(kind=Kind.OPT_OUT)
START = Reading(kind=Kind.OPT_IN, tone="neutral")
WORDS = Reading(kind=Kind.REPLY, tone="thanks")
LATER = NOON + timedelta(hours=1)


def incoming(**given: Any) -> Incoming:
    return Incoming(**{"id": "twilio:SM1", "channel": "sms", "address": SMS, "text": "hi", **given})


def allowed(database: Database, customer: str, channel: str = "sms", purpose: str = "service") -> bool:
    return may_contact(Customers(database).resolve([customer])[customer].consents, channel, purpose)


def contacts(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        return [(row.id, row.customer_id, row.reason_code) for row in session.exec(select(ContactRow))]


def test_a_reply_is_kept_with_what_it_answers_and_counts_as_a_contact(told: Desk, database: Database) -> None:
    freeze(database)
    kept = Replies(database).take(incoming(), WORDS, now=LATER)
    assert kept is not None
    assert (kept.customer, kept.outreach, kept.tone, kept.text) == ("c-0", OUTREACH, "thanks", "hi")
    assert Replies(database).of(OUTREACH) == [kept]
    assert Replies(database).counts(OUTREACH) == {"thanks": 1}
    assert contacts(database) == [(reply_id("twilio:SM1"), "c-0", "where_is_my_order")]


def test_what_is_said_later_counts_whoevers_clock_is_behind(told: Desk, database: Database) -> None:
    replies = Replies(database)
    assert replies.take(incoming(id="1"), STOP, now=LATER) is not None
    assert replies.take(incoming(id="2"), START, now=NOON) is not None
    assert allowed(database, "c-0")
    for number in (3, 4):
        assert replies.take(incoming(id=str(number)), STOP, now=NOON) is not None
        assert not allowed(database, "c-0")


def test_the_same_reply_twice_is_one(told: Desk, database: Database) -> None:
    replies = Replies(database)
    assert replies.take(incoming(), STOP, now=LATER) is not None
    Consents(database).choose("c-0", (), at=LATER, source="page")
    assert replies.take(incoming(), STOP, now=LATER) is None
    assert len(replies.of(OUTREACH)) == 1


@pytest.mark.parametrize("everything", [True, False])
def test_an_opt_out_closes_what_it_should(told: Desk, database: Database, everything: bool) -> None:
    Replies(database, everything=everything).take(incoming(), STOP, now=LATER)
    assert not any(allowed(database, "c-0", channel) for channel in ("sms", "whatsapp", "voice"))
    assert allowed(database, "c-0", "email") is not everything
    assert allowed(database, "c-1")
    assert contacts(database) == []


def test_who_shares_a_number_is_not_written_to_either(told: Desk, database: Database) -> None:
    told.customers.save([CustomerRecord(id="d", addresses={"whatsapp": SMS})], now=NOON, source="test")
    Replies(database).take(incoming(), STOP, now=LATER)
    assert not allowed(database, "d", "whatsapp")


def test_a_mail_is_known_by_what_it_answers_and_by_its_sender_in_any_letters(told: Desk, database: Database) -> None:
    told.customers.save([CustomerRecord(id="m", addresses={"email": "Ann@Example.org"})], now=NOON, source="test")
    replies = Replies(database)
    kept = replies.take(incoming(channel="email", address="ann@example.ORG"), WORDS, now=LATER)
    assert kept is not None
    assert (kept.customer, kept.outreach) == ("m", None)
    send = told.rows()[1]
    mail = incoming(id="email:2", channel="email", address="other@example.net", refers=(send.id,))
    assert (forwarded := replies.take(mail, STOP, now=LATER)) is not None
    assert (forwarded.customer, forwarded.outreach) == ("c-1", OUTREACH)
    assert not allowed(database, "c-1")
    replies.take(incoming(id="email:4", channel="email", address="ann@example.org"), STOP, now=LATER)
    by_provider = incoming(id="email:3", channel="email", address="ann@example.org", refers=("p-c-1",))
    assert replies.take(by_provider, START, now=LATER + timedelta(hours=1)) is not None
    assert allowed(database, "m", "email")
    assert not allowed(database, "c-1", "email"), "whoever forwards a mail may stop it, not begin again"


def test_the_way_back_is_there_only_after_an_opt_out_and_opens_no_marketing(told: Desk, database: Database) -> None:
    replies = Replies(database)
    first = replies.take(incoming(), START, now=LATER)
    assert first is not None
    assert first.kind == Kind.REPLY
    replies.take(incoming(id="twilio:SM2"), STOP, now=LATER + timedelta(minutes=1))
    back = replies.take(incoming(id="twilio:SM3"), START, now=LATER + timedelta(minutes=2))
    assert back is not None
    assert back.kind == Kind.OPT_IN
    assert allowed(database, "c-0", "sms")
    assert not allowed(database, "c-0", "sms", "marketing")
    assert not allowed(database, "c-0", "email"), "only by the channel it came by"


def test_who_may_have_opted_out_is_held_until_a_person_has_looked(told: Desk, database: Database) -> None:
    consents = Consents(database)
    Replies(database).take(incoming(), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER)
    Replies(database).take(
        incoming(id="twilio:SM2"), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER
    )
    assert [(one.customer, one.reply) for one in consents.holds()] == [("c-0", reply_id("twilio:SM1"))]
    assert held(told) == {"c-0"}
    assert len(contacts(database)) == 2
    assert consents.end_hold("c-0", opt_out=False, by="ana", at=LATER)
    assert consents.holds() == []
    assert held(told) == set()
    assert allowed(database, "c-0")
    assert not consents.end_hold("c-0", opt_out=True, by="ana", at=LATER)
    assert allowed(database, "c-0"), "nobody was held, so nobody's opt-out was found"


def test_a_hold_that_was_an_opt_out_becomes_one(told: Desk, database: Database) -> None:
    consents = Consents(database)
    Replies(database).take(incoming(), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER)
    assert consents.end_hold("c-0", opt_out=True, by="ana", at=LATER)
    assert not allowed(database, "c-0", "email")


@pytest.mark.parametrize("reading", [STOP, START], ids=["stop", "start"])
def test_a_customers_own_plain_word_ends_the_hold(told: Desk, database: Database, reading: Reading) -> None:
    replies, consents = Replies(database), Consents(database)
    if reading is START:
        replies.take(incoming(id="twilio:SM0"), STOP, now=NOON)
    replies.take(incoming(), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER)
    assert consents.holds()
    replies.take(incoming(id="twilio:SM2"), reading, now=LATER + timedelta(minutes=1))
    assert consents.holds() == []


def test_a_choice_on_the_page_ends_the_hold(told: Desk, database: Database) -> None:
    consents = Consents(database)
    Replies(database).take(incoming(), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER)
    consents.choose("c-0", (), at=LATER, source="page")
    assert consents.holds() == []


def test_what_needs_a_person_waits_to_be_told(told: Desk, database: Database) -> None:
    replies, arrivals = Replies(database), Arrivals(database)
    replies.take(incoming(), WORDS, now=LATER)
    replies.take(incoming(id="twilio:SM2"), Reading(kind=Kind.REPLY, tone="angry", need="anger"), now=LATER)
    for _ in range(2):
        replies.take(incoming(id="twilio:SM3"), Reading(kind=Kind.REPLY, tone="neutral", need="person"), now=LATER)
    waiting = []
    while one := arrivals.claim(ESCALATION, now=LATER, within=timedelta(hours=1)):
        waiting.append((one.body["outreach"], one.body["need"]))
    assert sorted(waiting) == [(OUTREACH, "anger"), (OUTREACH, "person")]


def test_a_sender_whom_nobody_knows_is_kept(told: Desk, database: Database) -> None:
    replies = Replies(database)
    unknown = incoming(address="+15559999999", text="who is this")
    kept = replies.take(unknown, Reading(kind=Kind.REPLY, tone="why", need="person"), now=LATER)
    assert kept is not None
    assert (kept.customer, kept.outreach) == (None, None)
    assert replies.of(None) == [kept]
    assert addresses(database) == ["+15559999999"]
    replies.take(incoming(id="twilio:SM2", address="+15559999999"), STOP, now=LATER)
    assert contacts(database) == []


def test_texts_go_when_their_time_has_come(told: Desk, database: Database) -> None:
    replies = Replies(database, kept=timedelta(days=1))
    replies.take(incoming(), WORDS, now=NOON)
    replies.take(incoming(id="twilio:SM2", address="+15559999999"), WORDS, now=NOON)
    replies.take(incoming(id="twilio:SM3"), WORDS, now=LATER)
    assert replies.tidy(now=NOON + timedelta(days=1)) == 2
    assert replies.tidy(now=NOON + timedelta(days=1)) == 0
    assert [one.text for one in replies.of(OUTREACH)] == ["", "hi"]
    assert addresses(database) == []


def test_who_is_forgotten_has_written_nothing(told: Desk, database: Database) -> None:
    replies = Replies(database)
    replies.take(incoming(), Reading(kind=Kind.DOUBTFUL, tone="neutral", need="doubt"), now=LATER)
    with database.write() as session:  # it came before anybody knew whose address that was
        session.add(ReplyRow(id="early", channel="sms", address=SMS, kind="reply", text="early", received_at=NOON))
    Erasure(database).forget("c-0", "f-1", by="ana", at=LATER)
    with database.read() as session:
        rows = session.exec(select(ReplyRow)).all()
    assert {(row.customer_id, row.text, row.address) for row in rows} == {("f-1", "", ""), (None, "", "")}
    assert [one.customer for one in Consents(database).holds()] == ["f-1"]


def held(desk: Desk) -> set[str]:
    """Returns whom the gate would hold back from the next step."""
    key = step("update-1")
    token = desk.open(key, kind="update")
    seen: dict[str, RowFacts] = {}

    def judge(_: Switches, rows: dict[str, RowFacts]) -> str:
        seen.update(rows)
        return "looked"

    desk.intend(token, key=key, judge=judge)
    desk.leases.release(key, token, now=NOON)
    whose = {row.id: row.customer_id for row in desk.rows(key)}
    return {whose[id_] for id_, row in seen.items() if row.held}


def addresses(database: Database) -> list[str]:
    with database.read() as session:
        return [row.address for row in session.exec(select(ReplyRow)) if row.address]
