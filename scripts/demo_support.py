"""The simulated customers of the demo, who contact support or do not, and the close of the window that counts them."""

import csv
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from demo_record import Record
from demo_screen import clock
from demo_stage import Stage
from pydantic import BaseModel

from tellfirst.channels.outbox import read_outbox

SEED = 2028
CONTACTS = Path("contacts.csv")


class Behaviour(BaseModel):
    """Says how often simulated customers contact support about a reason, when told and when not, from when on."""

    reason: str
    since: datetime
    customers: tuple[str, ...]
    told: float
    not_told: float


def affected(shop: Path, query: str) -> tuple[str, ...]:
    """Returns the customers whom a query on the shop's database finds, each once."""
    with closing(sqlite3.connect(shop)) as connection:
        return tuple(sorted({row[0] for row in connection.execute(query)}))


def close_window(stage: Stage, record: Record, outreaches: Sequence[str], behaviours: Sequence[Behaviour]) -> None:
    """Waits for the windows to close, imports what the simulated customers did, and waits for the outcomes."""
    stage.screen.chapter("The window closes: who contacted support?")
    # A second more, because the import below says in whole seconds up to when its contacts are complete.
    closes = max(record.window_end(outreach) for outreach in outreaches) + timedelta(seconds=1)
    stage.screen.say(f"Contacts count until {clock(closes)}. Waiting for that.")
    left = (closes - datetime.now(UTC)).total_seconds()
    stage.wait("the end of the window", lambda: datetime.now(UTC) >= closes, within=left + 10)
    first = behaviours[0]
    stage.screen.say(
        "The customers are simulated. Each looks into the outbox folder, as people look at their phones: of those who "
        f"find a message {first.told:.0%} contact support, of those who find none {first.not_told:.0%}. So the figures "
        "below show that the measurement finds what was put in. They are no evidence that telling people helps; "
        "only your own customers can give that."
    )
    count = simulate_contacts(CONTACTS, Path("customers.csv"), Path("outbox"), behaviours)
    stage.screen.say(f"They made {count} contacts.")
    through = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stage.tellfirst("contacts", "import", str(CONTACTS), "--source", "helpdesk", "--through", through)
    for outreach in outreaches:
        record.wait_for_end(outreach, "measured")


def simulate_contacts(path: Path, people: Path, outbox: Path, behaviours: Sequence[Behaviour]) -> int:
    """Writes the support contacts of simulated customers, spread over a quarter of a minute; returns how many.

    The seed is fixed, but who is held out is drawn anew in every run, so the number of contacts varies a little.
    """
    random = Random(SEED)
    reached = {message.address for message in read_outbox(outbox)}
    with people.open(newline="", encoding="utf-8") as file:
        told = {row["id"] for row in csv.DictReader(file) if reached & {row.get("sms"), row["email"]}}
    rows: list[tuple[str, ...]] = []
    for behaviour in behaviours:
        for customer in behaviour.customers:
            at = behaviour.since + random.random() * timedelta(seconds=15)
            if random.random() < (behaviour.told if customer in told else behaviour.not_told):
                rows.append((f"t-{len(rows) + 1:04d}", customer, behaviour.reason, at.isoformat(), "phone"))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "customer_id", "reason_code", "occurred_at", "channel"))
        writer.writerows(rows)
    return len(rows)
