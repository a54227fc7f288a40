"""Contacts: counted once a cluster, each in its own window, and known up to a watermark that only rises."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import col, update

from tellfirst.store.contacts import ArmCount, Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.tables import RecipientRow
from tests.store.make import DAY, HOUR, NOON, OUTREACH, at_once, by, candidate, meeting, paged

REASON = "where_is_my_order"
END = NOON + 3 * DAY
INSTANT = timedelta(microseconds=1)


def contact(id_: str, customer: str = "c-1", *, reason: str = REASON, at: datetime = NOON) -> Contact:
    return Contact(id=id_, customer=customer, reason_code=reason, occurred_at=at, channel="phone")


def save(contacts: Contacts, *given: Contact, source: str = "desk", through: datetime | None = None) -> int:
    return contacts.save(given, source=source, through=through, now=NOON).new


@pytest.fixture
def contacts(database: Database) -> Contacts:
    """Returns the contacts beside an outreach of two treated households and a held-out customer."""
    recipients = paged(
        database,
        [
            candidate("c-1", cluster="home"),
            candidate("c-2", cluster="home"),
            candidate("c-3"),
            candidate("c-4"),
            candidate("c-5"),
        ],
    )
    recipients.randomise(OUTREACH, 1, by(cap_exempt=True), page=0)
    with database.write() as session:
        who = col(RecipientRow.customer_id)
        session.execute(update(RecipientRow).where(who == "c-4").values(arm="control"))
        session.execute(update(RecipientRow).where(who == "c-5").values(arm=None, t0=None, window_end=None))
    return Contacts(database)


def contacted(contacts: Contacts) -> tuple[int, int]:
    count = contacts.count(OUTREACH, REASON)
    return count["treated"].contacted, count["control"].contacted


def test_same_contact_counts_once(contacts: Contacts) -> None:
    assert save(contacts, contact("1"), contact("2")) == 2
    assert save(contacts, contact("2", "c-3"), contact("3"), contact("3")) == 1
    assert contacts.known(["1", "2", "3", "4"]) == {"1", "2", "3"}


def test_known_takes_any_number(contacts: Contacts) -> None:
    save(contacts, contact("7"))
    assert contacts.known([str(n) for n in range(70_000)]) == {"7"}


@pytest.mark.parametrize(
    ("at", "counts"), [(NOON - INSTANT, 0), (NOON, 1), (NOON + HOUR, 1), (END - INSTANT, 1), (END, 0)]
)
def test_window_includes_its_beginning_and_not_its_end(contacts: Contacts, at: datetime, counts: int) -> None:
    save(contacts, contact("1", at=at))
    assert contacted(contacts) == (counts, 0)


def test_each_row_has_its_own_window(database: Database, contacts: Contacts) -> None:
    later = {"t0": NOON + DAY, "window_end": END + DAY}
    with database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == "c-3").values(**later))
    save(contacts, contact("1", "c-3", at=NOON), contact("2", "c-4", at=END))
    assert contacted(contacts) == (0, 0)
    save(contacts, contact("3", "c-3", at=END))
    assert contacted(contacts) == (1, 0)


def test_other_reason_does_not_count(contacts: Contacts) -> None:
    save(contacts, contact("1", reason="refund_status"))
    assert contacted(contacts) == (0, 0)


def test_household_counts_once(contacts: Contacts) -> None:
    save(contacts, contact("1", "c-1"), contact("2", "c-2"), contact("3", "c-2"))
    assert contacts.count(OUTREACH, REASON) == {
        "treated": ArmCount(clusters=2, contacted=1),
        "control": ArmCount(clusters=1, contacted=0),
    }


def test_any_member_of_a_household_counts(contacts: Contacts) -> None:
    save(contacts, contact("1", "c-2"))
    assert contacted(contacts) == (1, 0)


def test_several_contacts_of_one_customer_count_once(contacts: Contacts) -> None:
    save(contacts, *(contact(str(n), "c-4", at=NOON + n * HOUR) for n in range(9)))
    assert contacts.count(OUTREACH, REASON)["control"] == ArmCount(clusters=1, contacted=1)


def test_who_was_not_randomised_does_not_count(contacts: Contacts) -> None:
    save(contacts, contact("1", "c-5"), contact("2", "c-9"))
    assert contacted(contacts) == (0, 0)
    assert sum(arm.clusters for arm in contacts.count(OUTREACH, REASON).values()) == 3


def test_customer_of_two_revisions_is_one_unit(database: Database, contacts: Contacts) -> None:
    recipients = paged(database, [candidate("c-3", "o-9")], revision=2)
    recipients.randomise(OUTREACH, 2, by(cap_exempt=True, t0=NOON + DAY), page=0)
    save(contacts, contact("1", "c-3", at=END))  # in the window of the second row only
    assert contacts.count(OUTREACH, REASON)["treated"] == ArmCount(clusters=2, contacted=1)


def test_nobody_randomised_is_no_arm(contacts: Contacts) -> None:
    assert contacts.count("outreach/other", REASON) == {}


def test_watermark_is_that_of_the_source_farthest_behind(contacts: Contacts) -> None:
    assert contacts.watermark() is None
    save(contacts, source="desk", through=NOON + DAY)
    assert contacts.watermark() == NOON + DAY
    save(contacts, source="phone", through=NOON)
    assert contacts.watermark() == NOON
    save(contacts, source="phone", through=NOON + 2 * DAY)
    assert contacts.watermark() == NOON + DAY


def test_watermark_never_moves_back(contacts: Contacts) -> None:
    save(contacts, through=NOON)
    save(contacts, through=NOON - DAY)
    save(contacts, through=None)
    assert contacts.watermark() == NOON


def test_without_a_watermark_nothing_is_promised(contacts: Contacts) -> None:
    save(contacts, contact("1"), through=None)
    assert contacts.watermark() is None


def test_contacts_are_saved_all_or_none(contacts: Contacts) -> None:
    naive = contact("2").model_copy(update={"occurred_at": datetime(2026, 3, 1)})  # noqa: DTZ001 - the point
    with pytest.raises(Exception, match="naive"):
        save(contacts, contact("1"), naive, through=NOON)
    assert contacts.known(["1", "2"]) == set()
    assert contacts.watermark() is None


def test_two_first_imports_at_once_both_arrive(database: Database, contacts: Contacts) -> None:
    with meeting(database, "INSERT INTO watermarks"):
        at_once([lambda: save(contacts, through=NOON), lambda: save(contacts, through=NOON + DAY)])
    assert contacts.watermark() == NOON + DAY


def test_two_imports_of_the_same_contacts_never_wait_in_a_circle(database: Database, contacts: Contacts) -> None:
    given = [contact(f"{n:04d}") for n in range(4_000)]  # several statements each
    with meeting(database, "INSERT INTO contacts", when="after"):
        new = at_once([lambda: save(contacts, *given), lambda: save(contacts, *reversed(given))])
    assert sorted(new) == [0, 4_000]
