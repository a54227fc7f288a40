"""From contacts to money: what eight accounts cost, worked out by hand, on the way that reports take."""

from datetime import timedelta

import pytest
from sqlmodel import col, update

from tellfirst.channels.receipts import ENGAGEMENTS
from tellfirst.measurement.beside import Beside, beside
from tellfirst.measurement.costs import CostRates
from tellfirst.store.beside import Besides
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.tables import RecipientRow
from tellfirst.store.windows import Windows
from tests.store.desk import Desk
from tests.store.make import DAY, NOON, OUTREACH, freeze

REASON = "where_is_my_order"
NAMES = tuple(f"c-{n}" for n in range(8))
RATES = CostRates(currency="EUR", agent_hour=3_600)

Told = tuple[str, str, int | None]


@pytest.fixture
def eight(database: Database) -> Database:
    """Returns an outreach of four accounts that were told and four that were held out."""
    Desk(database, NAMES)
    freeze(database)
    with database.write() as session:
        session.execute(update(RecipientRow).values(share=0.5))
        held = col(RecipientRow.customer_id).in_(NAMES[4:])
        session.execute(update(RecipientRow).where(held).values(arm="control"))
    return database


def came(database: Database, *contacts: Told) -> Beside:
    """Returns what stands beside, once these have come an hour after t0: who, what about, and for how long."""
    Contacts(database).save(
        [
            Contact(
                id=str(n),
                customer=who,
                reason_code=reason,
                occurred_at=NOON + DAY / 24,
                handle_seconds=seconds,
                resolved_at=NOON + DAY / 24 + timedelta(minutes=n + 1),
            )
            for n, (who, reason, seconds) in enumerate(contacts)
        ],
        source="desk",
        through=None,
        now=NOON,
    )
    counted = Windows(database).count(OUTREACH)
    assert counted is not None
    counts = Besides(database, engagements=ENGAGEMENTS).of(REASON, [OUTREACH])
    return beside("A", [(OUTREACH, counted.figures)], counts=counts, rates=RATES, reason_code=REASON)


def test_handling_time_about_whatever_reason_is_cost(eight: Database) -> None:
    found = came(
        eight,
        ("c-1", "other", 720),
        ("c-3", "other", 720),
        *(("c-4", REASON, 360),) * 3,
        *(("c-5", REASON, 360),) * 3,
        *(("c-6", REASON, 450),) * 4,
        *(("c-7", REASON, 450),) * 4,
    )
    # 0, 720, 0, 720 seconds against 1,080, 1,080, 1,800, 1,800: as in tests/measurement/test_beside.py.
    assert found.costs is not None
    assert (found.costs.handling.value, found.costs.handling.low, found.costs.handling.high) == pytest.approx(
        (-1_080, -1_799.24, -360.76), abs=0.01
    )
    assert (found.costs.contacts, found.costs.untimed, found.costs.saving) == (16, 0, None)
    # 3.5 contacts fewer about the reason, 3 about anything.
    assert found.displaced == pytest.approx(0.5 / 3.5)
    assert (found.elsewhere.treated.events, found.elsewhere.control.events) == (2, 0)
    assert (found.repeated.treated.events, found.repeated.control.events) == (0, 4)
    assert (found.resolved_first["control"].events, found.resolved_first["control"].n) == (0, 4)
    # Contacts 3 to 16 took as many minutes.
    assert found.resolution["control"].value == pytest.approx(60 * sum(range(3, 17)) / 14)
    assert found.resolution["treated"].n == 0


def test_a_contact_without_a_handle_time_is_as_long_as_others_of_its_reason(eight: Database) -> None:
    found = came(
        eight,
        ("c-0", REASON, None),
        ("c-1", "other", 9_000),
        ("c-4", REASON, 300),
        ("c-5", REASON, 500),
    )
    assert found.costs is not None
    assert (found.costs.contacts, found.costs.untimed) == (4, 1)
    # 400 for the one that is not known: 9,400 seconds by four accounts against 800.
    assert (found.costs.treated, found.costs.control) == pytest.approx((2_350, 200))
    assert "Of 4 contacts 1 came without a handle time" in found.sentences[-1]


def test_without_any_handle_time_nothing_is_said_in_money(eight: Database) -> None:
    assert came(eight, ("c-0", REASON, None), ("c-4", REASON, None)).costs is None
