"""Customers: an import never undoes an opt-out, and an address that never works stays so until it changes."""

import pytest

from tellfirst.policy.consent import may_contact
from tellfirst.store.consents import Consents
from tellfirst.store.customers import Address, CustomerRecord, Customers
from tellfirst.store.engine import Database
from tests.store.make import DAY, HOUR, NOON

SMS, EMAIL = "+15550001", "a@example.org"


def record(id_: str = "c-1", **more: object) -> CustomerRecord:
    return CustomerRecord(id=id_, addresses={"sms": SMS, "email": EMAIL}).model_copy(update=more)


@pytest.fixture
def customers(database: Database) -> Customers:
    made = Customers(database)
    made.save([record()], now=NOON, source="import")
    return made


def allows(customers: Customers, channel: str = "sms", purpose: str = "service") -> bool:
    return may_contact(customers.resolve(["c-1"])["c-1"].consents, channel, purpose)


def test_customer_comes_back_as_imported(customers: Customers) -> None:
    full = record("c-2", first_name="Zoë", locale="pt-BR", timezone="America/Sao_Paulo", cluster="home")
    customers.save([full], now=NOON, source="import")
    one = customers.resolve(["c-2"])["c-2"]
    assert (one.first_name, one.locale, one.timezone, one.cluster) == ("Zoë", "pt-BR", "America/Sao_Paulo", "home")
    assert one.addresses == {
        "sms": Address(address=SMS, usable=True),
        "email": Address(address=EMAIL, usable=True),
    }
    assert one.consents == ()


def test_customer_alone_is_their_own_cluster(customers: Customers) -> None:
    assert customers.resolve(["c-1"])["c-1"].cluster == "c-1"


def test_only_known_customers_are_resolved(customers: Customers) -> None:
    assert set(customers.resolve(["c-1", "c-9"])) == {"c-1"}
    assert customers.exists("c-1")
    assert not customers.exists("c-9")


def test_any_number_is_resolved(customers: Customers) -> None:
    ids = [f"k-{n}" for n in range(1_200)]
    customers.save([record(id_) for id_ in ids], now=NOON, source="import")
    found = customers.resolve(ids)
    assert list(found) == ids or set(found) == set(ids)
    assert all(len(customer.addresses) == 2 for customer in found.values())


def test_import_replaces_and_removes_addresses(customers: Customers) -> None:
    customers.save([record(addresses={"sms": "+15550002"}, first_name="Ana")], now=NOON + DAY, source="import")
    one = customers.resolve(["c-1"])["c-1"]
    assert one.first_name == "Ana"
    assert one.addresses == {"sms": Address(address="+15550002", usable=True)}


def test_import_does_not_undo_an_opt_out(customers: Customers, database: Database) -> None:
    Consents(database, everything=False).opt_out(["c-1"], channel="sms", at=NOON, source="STOP")
    customers.save([record()], now=NOON + DAY, source="import")
    assert not allows(customers)
    assert allows(customers, "email")


def test_imported_opt_out_holds_for_every_purpose_of_the_channel(customers: Customers) -> None:
    customers.save([record(opted_out=("sms",))], now=NOON, source="import")
    assert not allows(customers, purpose="transactional")
    assert allows(customers, "email")


def test_opt_out_is_of_those_customers_alone(customers: Customers, database: Database) -> None:
    customers.save([record("c-2"), record("c-3")], now=NOON, source="import")
    Consents(database).opt_out(["c-2", "c-3"], channel="", at=NOON, source="page")
    assert allows(customers)
    statements = customers.resolve(["c-2"])["c-2"].consents
    assert [(s.channel, s.purpose, s.allowed, s.at) for s in statements] == [("*", "*", False, NOON)]


def test_dead_address_stays_dead_until_it_changes(customers: Customers) -> None:
    customers.mark_unusable({"c-1": "sms"})
    customers.save([record()], now=NOON + HOUR, source="import")
    addresses = customers.resolve(["c-1"])["c-1"].addresses
    assert (addresses["sms"].usable, addresses["email"].usable) == (False, True)
    customers.save([record(addresses={"sms": "+15550002", "email": EMAIL})], now=NOON + DAY, source="import")
    assert customers.resolve(["c-1"])["c-1"].addresses["sms"].usable


def test_customers_are_saved_all_or_none(customers: Customers) -> None:
    with pytest.raises(Exception, match=r"NOT NULL|not-null"):
        customers.save([record("c-2"), record("c-3", addresses={"sms": None})], now=NOON, source="import")
    assert not customers.exists("c-2")
