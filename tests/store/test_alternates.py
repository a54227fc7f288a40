"""Whose turn it is: on both databases, a step goes by an alternate channel exactly when those before have lost it."""

import pytest

from tellfirst.domain.message import SendState
from tellfirst.domain.recipient import Alternate, Recipient
from tellfirst.store.alternates import Alternates, told_before, turns
from tellfirst.store.consents import opt_out
from tellfirst.store.engine import Database
from tellfirst.store.sends import Sends
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import SendRow
from tests.store.make import HOUR, NOON, OUTREACH, by, candidate, claim, customers
from tests.store.make import paged as page_them

ORDER = ("sms", "email", "in_app")
LOST = {"state": SendState.FAILED, "reason": "permanent:21211"}
GONE = {"state": SendState.UNDELIVERED, "reason": "receipt:30003"}
DOUBT = {"state": SendState.UNKNOWN, "reason": "not_found_at_provider"}
STOPPED = {"state": SendState.FAILED, "reason": "opted_out:21610"}
TIRED = {"state": SendState.FAILED, "reason": "not_sent:30001"}
TAKEN = {"state": SendState.ACCEPTED}
WITHHELD = {"state": SendState.WITHHELD, "reason": "opted_out"}


class Row:
    """Is one recipient with a text of first choice and two alternates on pages 1 and 2."""

    def __init__(self, database: Database) -> None:
        self.database, self.alternates = database, Alternates(database)
        claim(database)
        customers(database, ["c-0"])
        others = tuple(Alternate(channel=c, locale="en", address_digest=f"a-{c}") for c in ("email", "in_app"))
        one = candidate("c-0").model_copy(update={"alternates": others})
        self.recipients = page_them(database, [one])
        self.recipients.randomise(OUTREACH, 1, by(), page=0)
        for number, channel in ((1, "email"), (2, "in_app")):
            (row,) = self.alternates.unpaged(OUTREACH, 1, channel, 500)
            self.alternates.add_page(OUTREACH, 1, number, channel, {row.id: f"content-{channel}"}, f"d-{number}")
        (self.row,) = self.recipients.page(OUTREACH, 1, 0)

    def sent(self, step: str, **channels: dict[str, str]) -> None:
        """Records how a step stands on channels."""
        rows = [
            {
                "id": f"{step}-{channel}",
                "outreach_id": OUTREACH,
                "revision": 1,
                "recipient_id": self.row.id,
                "customer_id": "c-0",
                "step": step,
                "channel": channel,
                "page": ORDER.index(channel),
                "reason": "",
                "token": 1,
                "attempts": 1,
                "nonce": "n",
                "adapter": "fake",
                "provider_id": "",
                "body_digest": "",
                "intent_at": NOON,
                **how,
            }
            for channel, how in channels.items()
        ]
        with self.database.write() as session:
            for row in rows:
                insert_new(session, SendRow, [row])

    def due(self, step: str = "initial", kind: str = "initial") -> list[int]:
        return self.alternates.due_pages(OUTREACH, 1, step, kind)


@pytest.fixture
def row(database: Database) -> Row:
    return Row(database)


def test_a_page_of_alternates_reads_as_its_recipients_on_that_channel(row: Row) -> None:
    (found,) = row.recipients.page(OUTREACH, 1, 2)
    assert isinstance(found, Recipient)
    assert (found.channel, found.rank, found.address_digest, found.content_digest) == (
        "in_app",
        2,
        "a-in_app",
        "content-in_app",
    )
    assert (found.customer, found.facts) == (row.row.customer, row.row.facts)
    assert row.alternates.by_text(OUTREACH, 1) == {("email", "en"): 1, ("in_app", "en"): 1}


@pytest.mark.parametrize(
    ("sent", "due"),
    [
        ({}, []),
        ({"sms": TAKEN}, []),
        ({"sms": DOUBT}, []),
        ({"sms": STOPPED}, []),
        ({"sms": TIRED}, []),
        ({"sms": WITHHELD}, []),
        ({"sms": LOST}, [1]),
        ({"sms": GONE}, [1]),
        ({"sms": LOST, "email": TAKEN}, []),
        ({"sms": LOST, "email": WITHHELD}, []),
        ({"sms": LOST, "email": DOUBT}, []),
        ({"sms": GONE, "email": LOST}, [2]),
        ({"sms": GONE, "email": LOST, "in_app": LOST}, []),
    ],
)
def test_a_first_message_goes_on_where_all_before_have_lost_it(
    row: Row, sent: dict[str, dict[str, str]], due: list[int]
) -> None:
    row.sent("initial", **sent)
    assert row.due() == due


@pytest.mark.parametrize(
    ("first", "update", "due"),
    [
        ({"sms": TAKEN}, {}, []),
        ({"sms": TAKEN}, {"sms": LOST}, [1]),
        ({"sms": GONE, "email": TAKEN}, {}, [1]),
        ({"sms": GONE, "email": TAKEN}, {"email": TAKEN}, []),
        ({"sms": GONE, "email": TAKEN}, {"email": GONE}, [2]),
        ({"sms": LOST, "email": LOST}, {}, []),
        ({"sms": DOUBT}, {}, []),
        ({"sms": {"state": SendState.DELIVERED}, "email": TAKEN}, {}, []),
    ],
)
def test_what_follows_goes_where_the_first_message_came_through(
    row: Row, first: dict[str, dict[str, str]], update: dict[str, dict[str, str]], due: list[int]
) -> None:
    row.sent("initial", **first)
    row.sent("update-1", **update)
    assert row.due("update-1", "update") == due
    assert row.due("resolved", "resolved") == []  # it is not over for them
    row.recipients.mark_all_cleared(OUTREACH, at=NOON)
    assert row.due("update-1", "update") == []


@pytest.mark.parametrize(("channel", "due"), [("sms", []), ("email", [1])])
def test_a_no_that_came_by_the_lost_channel_ends_it(row: Row, channel: str, due: list[int]) -> None:
    row.sent("initial", sms=GONE)
    with row.database.write() as session:
        opt_out(session, ["c-0"], channel=channel, everything=False, at=NOON + HOUR, source="test")
    assert row.due() == due


@pytest.mark.parametrize(
    ("sms", "no", "needless"),
    [
        (GONE, "", False),
        (TAKEN, "", True),
        ({"state": SendState.DELIVERED}, "", True),
        (GONE, "sms", True),
        (GONE, "*", True),
        (GONE, "email", False),
    ],
)
def test_what_waits_need_not_leave_once_one_before_came_through_or_met_a_no(
    row: Row, sms: dict[str, str], no: str, needless: bool
) -> None:
    row.sent("initial", sms=sms, email={"state": SendState.DEFERRED})
    row.sent("update-1", sms=TAKEN)
    if no:
        with row.database.write() as session:
            opt_out(session, ["c-0"], channel=no, everything=False, at=NOON + HOUR, source="test")
    with row.database.read() as session:
        assert told_before(session, ["initial-sms", "initial-email"]) == ({"initial-email"} if needless else set())


def test_nobody_held_out_or_left_out_gets_one(row: Row) -> None:
    row.sent("initial", sms=LOST)
    with row.database.write() as session:
        session.connection().exec_driver_sql("UPDATE recipients SET arm = 'control'")
    assert row.due() == []


def test_whatever_was_sent_on_counts_where_it_went(row: Row) -> None:
    row.sent("initial", sms=LOST, email=TAKEN)
    sends = Sends(row.database)
    tally = sends.tally(OUTREACH)
    assert (tally.accepted, tally.failed) == (1, 0)
    assert {(one.channel, one.sent_on) for one in sends.states(OUTREACH)} == {("sms", True), ("email", False)}
    with row.database.read() as session:
        assert list(turns(session, OUTREACH, 1, "initial", kind="initial")) == []
