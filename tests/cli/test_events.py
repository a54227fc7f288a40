"""`tellfirst events`: how far each system has been told, and how what it would not take is tried again."""

import re
from datetime import UTC, datetime, timedelta

from tellfirst.domain.feed import CustomerReplied
from tellfirst.store.engine import Database
from tellfirst.store.feed import Feed, Tried
from tellfirst.store.telling import tell
from tests.cli.conftest import Shell

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = timedelta(days=3)


def replies(database: Database, *names: str) -> None:
    happened = (
        CustomerReplied(customer=name, outreach="outreach/o/1", channel="sms", reply=name, kind="reply", tone="")
        for name in names
    )
    with database.write() as session:
        tell(session, *happened, at=NOON)


def test_without_a_system_it_says_how_to_name_one(shell: Shell) -> None:
    assert "TELLFIRST_EVENTS_OUT" in shell("events").out
    assert shell("events", "--json").document == []
    done = shell("events", "--retry", "desk")
    assert (done.code, done.out) == (1, "")
    assert done.err == "desk: no system of that name is told; see `tellfirst events`\n"


def test_it_tells_what_waits_and_what_was_parked(shell: Shell, database: Database) -> None:
    feed = Feed(database)
    feed.register({"desk": ["message.*", "customer.replied"]}, now=NOON)
    replies(database, "c-1", "c-2", "c-3")
    first, second, third = feed.due("desk", now=NOON, limit=9)
    no = Tried(number=first.number, acknowledged=False, detail="422", refused=True, next_at=NOON)
    for days in (0, 3):
        feed.settle("desk", [no], now=NOON + days * DAYS / 3, park_after=DAYS)
    yes = Tried(number=second.number, acknowledged=True, detail="204")
    late = Tried(number=third.number, acknowledged=False, detail="503", next_at=NOON + DAYS)
    feed.settle("desk", [yes, late], now=NOON, park_after=DAYS)
    done = shell("events")
    assert (done.code, done.err) == (0, "")
    header, line, parked, remedy = done.out.splitlines()
    columns = ["endpoint", "told of", "waiting", "behind", "parked", "last taken", "last failure"]
    assert re.split(r" {2,}", header) == columns
    assert line.startswith("desk      message.*, customer.replied        1  ")
    assert line.endswith("      1  Sun 01 Mar 2026, 12:00 UTC  503 (1 event)")
    assert parked == (
        "parked for desk: customer.replied of Sun 01 Mar 2026, 12:00 UTC, outreach/o/1 (2 attempts, the last said 422)"
    )
    assert remedy == "Once it takes them: tellfirst events --retry desk"
    [document] = shell("events", "--json").document
    assert (document["waiting"], document["failing"], len(document["parked"])) == (1, 1, 1)
    assert shell("events", "--retry", "desk").out.splitlines()[0] == "1 event of 'desk' will be tried again."
    assert shell("events", "--json").document[0]["parked"] == []
