"""Leaves: whatever a recipient is told by stands in theirs."""

from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.domain.recipient import Recipient
from tellfirst.signing.leaves import leaf_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = Recipient(
    id=1,
    position=0,
    customer="c-1",
    subject_key="o-1",
    channel="sms",
    locale="en",
    timezone="UTC",
    facts={"order_id": "o-1"},
    others=0,
    address_digest="a",
    content_digest="c",
    promises={"update-1": NOON},
)


@pytest.mark.parametrize(
    "changed",
    [
        {"promises": {}},
        {"promises": {"update-1": NOON + timedelta(seconds=1)}},
        {"promises": {"update-2": NOON}},
        {"others": 1},
        {"facts": {}},
        {"timezone": None},
        {"address_digest": "b"},
        {"rank": 1},
    ],
)
def test_a_changed_row_has_another_leaf(changed: dict[str, object]) -> None:
    assert leaf_of(ROW.model_copy(update=changed), "c") != leaf_of(ROW, "c")


def test_an_instant_is_the_same_in_every_zone() -> None:
    elsewhere = {"update-1": datetime.fromisoformat("2026-03-01T13:00:00+01:00")}
    assert leaf_of(ROW.model_copy(update={"promises": elsewhere}), "c") == leaf_of(ROW, "c")
