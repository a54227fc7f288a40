"""Accounts that turn out to be one: whose contacts go where, how chains resolve, and what is refused."""

import threading

import pytest
from sqlmodel import select

from tellfirst.errors import NotFoundError, RefusedError
from tellfirst.store.accounts import Accounts, Merged
from tellfirst.store.chain import Chain
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.tables import ContactRow, RecipientRow
from tellfirst.store.tables_contacts import MergeRow
from tests.store.make import NOON, OUTREACH, before, candidate, paged


def customer(id_: str, cluster: str = "") -> CustomerRecord:
    return CustomerRecord(id=id_, cluster=cluster, addresses={})


def call(database: Database, id_: str, who: str) -> None:
    contact = Contact(id=id_, customer=who, reason_code="late", occurred_at=NOON)
    Contacts(database).save([contact], source="desk", through=None, now=NOON)


def merge(database: Database, old: str, into: str) -> Merged | None:
    return Accounts(database).merge(old, into, by="ana", now=NOON)


def called(database: Database) -> dict[str, str]:
    with database.read() as session:
        return dict(session.exec(select(ContactRow.id, ContactRow.cluster)).all())


def merges(database: Database) -> dict[str, str]:
    with database.read() as session:
        return dict(session.exec(select(MergeRow.old, MergeRow.into)).all())


@pytest.fixture
def accounts(database: Database) -> Database:
    """Is a household of two, three customers on their own, and a contact of each."""
    people = [customer("c-1", "home"), customer("c-2", "home"), *(customer(f"c-{n}") for n in (3, 4, 5))]
    Customers(database).save(people, now=NOON, source="test")
    for number in range(1, 6):
        call(database, f"t-{number}", f"c-{number}")
    return database


def test_customers_and_contacts_go_over(accounts: Database) -> None:
    assert merge(accounts, "home", "c-3") == Merged(customers=2, contacts=2)
    assert {one.cluster for one in Customers(accounts).resolve(["c-1", "c-2", "c-3"]).values()} == {"c-3"}
    assert called(accounts) == {"t-1": "c-3", "t-2": "c-3", "t-3": "c-3", "t-4": "c-4", "t-5": "c-5"}
    call(accounts, "t-6", "c-1")
    assert called(accounts)["t-6"] == "c-3"


def test_a_customer_stands_for_their_account(accounts: Database) -> None:
    assert merge(accounts, "c-3", "c-2") == Merged(customers=1, contacts=1)
    assert merges(accounts) == {"c-3": "home"}


def test_recipients_keep_what_they_were_drawn_as(accounts: Database) -> None:
    paged(accounts, [candidate("c-3"), candidate("c-4")])
    merge(accounts, "c-3", "c-4")
    with accounts.read() as session:
        rows = select(RecipientRow.cluster).where(RecipientRow.outreach_id == OUTREACH)
        assert sorted(session.exec(rows)) == ["c-3", "c-4"]


def test_chains_are_resolved(accounts: Database) -> None:
    for old, into in (("c-3", "c-4"), ("c-4", "c-5"), ("home", "c-3")):
        assert merge(accounts, old, into) is not None
    assert merges(accounts) == dict.fromkeys(("c-3", "c-4", "home"), "c-5")
    assert set(called(accounts).values()) == {"c-5"}


def test_the_same_again_changes_nothing(accounts: Database) -> None:
    merge(accounts, "c-3", "c-4")
    entries = len(Chain(accounts).entries())
    assert merge(accounts, "c-3", "c-4") is None
    assert len(Chain(accounts).entries()) == entries


@pytest.mark.parametrize(
    ("old", "into", "says"),
    [
        ("c-5", "c-5", "INTO: is OLD itself"),
        ("c-1", "c-2", "INTO: is OLD itself"),
        ("c-4", "c-3", "INTO: was merged into OLD"),
        ("c-3", "c-5", "OLD: it was merged into another account already; merge that one"),
    ],
)
def test_a_circle_is_refused(accounts: Database, old: str, into: str, says: str) -> None:
    merge(accounts, "c-3", "c-4")
    with pytest.raises(RefusedError, match=says):
        merge(accounts, old, into)
    assert merges(accounts) == {"c-3": "c-4"}


@pytest.mark.parametrize(("old", "into", "where"), [("c-9", "c-3", "OLD"), ("c-3", "c-9", "INTO")])
def test_an_account_that_nobody_knows_is_a_slip(accounts: Database, old: str, into: str, where: str) -> None:
    with pytest.raises(NotFoundError, match=f"{where}: nothing is known of such an account"):
        merge(accounts, old, into)


def test_an_import_does_not_part_what_was_merged(accounts: Database) -> None:
    merge(accounts, "home", "c-3")
    Customers(accounts).save([customer("c-1", "home"), customer("c-2"), customer("c-7", "home")], now=NOON, source="x")
    assert {one.cluster for one in Customers(accounts).resolve(["c-1", "c-2", "c-7"]).values()} == {"c-3"}


def test_who_merged_is_in_the_log_and_nobody_else(accounts: Database) -> None:
    merge(accounts, "c-3", "c-4")
    entry = Chain(accounts).entries()[-1]
    assert (entry.kind, entry.about, entry.actor) == ("accounts_merged", "accounts", "ana")
    assert entry.facts == {"customers": 1, "contacts": 1}


def test_nothing_comes_in_under_an_account_that_is_just_going(accounts: Database) -> None:
    reached = threading.Event()
    with before(accounts, "INSERT INTO contacts", reached, hold=0.5):
        calling = threading.Thread(target=call, args=(accounts, "t-6", "c-3"))
        calling.start()
        assert reached.wait(10)
        merge(accounts, "c-3", "c-4")
        calling.join()
    assert called(accounts)["t-6"] == "c-4"
