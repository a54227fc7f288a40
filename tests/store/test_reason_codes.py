"""The codes of helpdesks: mapped now or later, listed while they are not, and never dropped."""

import threading

from sqlmodel import select

from tellfirst.store.chain import Chain
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.reason_codes import ReasonCodes
from tellfirst.store.sources import Sources
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_contacts import ContactVersionRow
from tests.store.make import DAY, HOUR, NOON, before

REASON = "where_is_my_order"


def call(database: Database, id_: str, code: str, *, source: str = "desk", hours: int = 0) -> None:
    contact = Contact(id=id_, customer="c-1", reason_code=code, occurred_at=NOON + hours * HOUR)
    Contacts(database).save([contact], source=source, through=None, now=NOON)


def reasons(database: Database) -> dict[str, str]:
    with database.read() as session:
        return dict(session.exec(select(ContactRow.id, ContactRow.reason_code)).all())


def test_a_mapping_holds_for_what_comes_and_for_what_is_here(database: Database) -> None:
    call(database, "t-1", "WISMO")
    call(database, "t-2", "refund")
    assert ReasonCodes(database).map("WISMO", REASON, by="ana", now=NOON + DAY) == 1
    call(database, "t-3", "WISMO")
    assert reasons(database) == {"t-1": REASON, "t-2": "refund", "t-3": REASON}
    with database.read() as session:
        (old,) = session.exec(select(ContactVersionRow))
        row = session.exec(select(ContactRow).where(ContactRow.id == "t-1")).one()
    assert (old.reason_code, old.given_code, old.version, old.cause) == ("WISMO", "WISMO", 1, "mapped")
    assert (old.replaced_at, row.version, row.imported_at) == (NOON + DAY, 2, NOON + DAY)


def test_the_same_values_of_a_mapped_contact_change_nothing(database: Database) -> None:
    call(database, "t-1", "WISMO")
    codes = ReasonCodes(database)
    assert [codes.map("WISMO", REASON, by="ana", now=NOON) for _ in range(2)] == [1, 0]
    call(database, "t-1", "WISMO")
    assert reasons(database) == {"t-1": REASON}
    assert [(one.mapped, one.corrected) for one in Sources(database).all()] == [(1, 0)]


def test_a_mapping_may_change_and_a_corrected_code_follows_it(database: Database) -> None:
    call(database, "t-1", "WISMO")
    call(database, "t-2", "other")
    codes = ReasonCodes(database)
    for reason in (REASON, "lost_parcel"):
        codes.map("WISMO", reason, by="ana", now=NOON)
    call(database, "t-2", "WISMO")
    assert reasons(database) == {"t-1": "lost_parcel", "t-2": "lost_parcel"}
    assert [(one.given, one.reason, one.by, one.contacts) for one in codes.all()] == [
        ("WISMO", "lost_parcel", "ana", 2),
    ]


def test_our_own_contacts_are_never_mapped(database: Database) -> None:
    call(database, "t-1", REASON, source="replies")
    assert ReasonCodes(database).map(REASON, "other", by="ana", now=NOON) == 0
    call(database, "t-2", REASON, source="replies")
    assert set(reasons(database).values()) == {REASON}


def test_unmapped_codes_are_listed_by_volume(database: Database) -> None:
    for number, code in enumerate(["blue", "red", "red", REASON, "WISMO", ""]):
        call(database, f"t-{number}", code, hours=number, source="phone" if number == 2 else "desk")
    codes = ReasonCodes(database)
    codes.map("WISMO", REASON, by="ana", now=NOON)
    found = codes.unmapped({REASON})
    assert [(one.given, one.contacts, one.sources) for one in found] == [
        ("red", 2, ("desk", "phone")),
        ("", 1, ("desk",)),
        ("blue", 1, ("desk",)),
    ]
    assert (found[0].first, found[0].last) == (NOON + HOUR, NOON + 2 * HOUR)
    codes.map("red", "red", by="ana", now=NOON)
    assert [one.given for one in codes.unmapped({REASON})] == ["", "blue"]


def test_who_mapped_is_in_the_log(database: Database) -> None:
    call(database, "t-1", "WISMO")
    ReasonCodes(database).map("WISMO", REASON, by="ana", now=NOON)
    entry = Chain(database).entries()[-1]
    assert (entry.kind, entry.about, entry.actor) == ("code_mapped", "WISMO", "ana")
    assert entry.facts == {"reason": REASON, "contacts": 1}


def test_nothing_comes_in_by_a_mapping_that_is_just_changing(database: Database) -> None:
    reached = threading.Event()
    with before(database, "INSERT INTO contacts", reached, hold=0.5):
        calling = threading.Thread(target=call, args=(database, "t-1", "WISMO"))
        calling.start()
        assert reached.wait(10)
        ReasonCodes(database).map("WISMO", REASON, by="ana", now=NOON)
        calling.join()
    assert reasons(database) == {"t-1": REASON}


def test_each_source_says_how_far_it_is(database: Database) -> None:
    contacts = Contacts(database)
    contacts.save([], source="phone", through=NOON, now=NOON + HOUR)
    contacts.save([], source="phone", through=NOON - DAY, now=NOON + DAY)
    call(database, "t-1", "late")
    for reason, withdrawn in (("refund", None), ("refund", True)):
        one = Contact(id="t-1", customer="c-1", reason_code=reason, occurred_at=NOON, withdrawn=withdrawn)
        contacts.save([one], source="desk", through=None, now=NOON + 2 * DAY)
    call(database, "r-1", "late", source="replies")
    assert [tuple(one.model_dump().values()) for one in Sources(database).all()] == [
        ("phone", NOON, NOON + DAY, 0, 0, 0, 0),
        ("desk", None, NOON + 2 * DAY, 0, 1, 1, 0),
        ("replies", None, None, 1, 0, 0, 0),
    ]
    assert contacts.watermark() == NOON
