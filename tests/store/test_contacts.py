"""Contacts: kept once, all or none, and known up to a watermark that only rises."""

from datetime import datetime

import pytest

from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tests.store.make import DAY, NOON, at_once, meeting

REASON = "where_is_my_order"


def contact(id_: str, customer: str = "c-1", *, reason: str = REASON, at: datetime = NOON) -> Contact:
    return Contact(id=id_, customer=customer, reason_code=reason, occurred_at=at, channel="phone")


def save(contacts: Contacts, *given: Contact, source: str = "desk", through: datetime | None = None) -> int:
    return contacts.save(given, source=source, through=through, now=NOON).new


@pytest.fixture
def contacts(database: Database) -> Contacts:
    return Contacts(database)


def test_same_contact_counts_once(contacts: Contacts) -> None:
    assert save(contacts, contact("1"), contact("2")) == 2
    assert save(contacts, contact("2", "c-3"), contact("3"), contact("3")) == 1
    assert contacts.known(["1", "2", "3", "4"]) == {"1", "2", "3"}


def test_known_takes_any_number(contacts: Contacts) -> None:
    save(contacts, contact("7"))
    assert contacts.known([str(n) for n in range(70_000)]) == {"7"}


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
