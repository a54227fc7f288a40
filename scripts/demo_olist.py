"""The story on real orders: one sweep a day, as if the days of early 2018 led up to now."""

import csv
import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from demo_orders import ORDERS_FILE, load_olist
from demo_record import Record
from demo_screen import DemoError, clock
from demo_stage import Stage
from demo_support import Behaviour, affected, close_window
from pydantic import BaseModel

from tellfirst.cli.output import counted
from tellfirst.detectors.grouping import sweep_id
from tellfirst.detectors.sql import SqlSource
from tellfirst.domain.plan import Plan
from tellfirst.playbooks.loader import load_file

FIRST_DAY, LAST_DAY = date(2018, 2, 15), date(2018, 3, 31)
DECIDED = 3
"""How many of the newest outreaches Ana decides; the others show what happens when nobody does."""
SHOP, PEOPLE = Path("shop.db"), Path("customers.csv")
LATE = """
SELECT customer_id FROM orders
WHERE promised_at < strftime('%Y-%m-%dT%H', 'now', '-1 day')
  AND (delivered_at IS NULL OR delivered_at > strftime('%Y-%m-%dT%H', 'now'))
"""


class Sweep(BaseModel):
    """Is one day's sweep: what the rule found, what was new, what of it came too late, and its condition if any."""

    day: date
    at: datetime
    subjects: int = 0
    new: int = 0
    too_late: int = 0
    outreach: str = ""


def moved_by(now: datetime) -> timedelta:
    """Returns by how much dates are moved, so that the first moment of the last day is `now`."""
    return now - datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC)


def sweeps(now: datetime) -> list[Sweep]:
    """Returns the sweeps to make, one at the first moment of each day, the last one at `now`."""
    days = (LAST_DAY - FIRST_DAY).days
    return [Sweep(day=LAST_DAY - timedelta(days=n), at=now - timedelta(days=n)) for n in range(days, -1, -1)]


def check(orders: Path) -> None:
    """Raises DemoError when a folder does not hold the order files."""
    if not (orders / ORDERS_FILE).is_file():
        raise DemoError(f"there is no {ORDERS_FILE} in {orders}; --orders wants the folder that holds it", exit_code=2)


def load(orders: Path, now: datetime) -> int:
    """Loads the order files in `orders` into the shop's database; raises DemoError for files that are no such."""
    try:
        count = load_olist(orders, SHOP, moved=moved_by(now))
    except (OSError, KeyError, ValueError, sqlite3.Error) as error:
        raise DemoError(
            f"the order files in {orders} cannot be read ({type(error).__name__}: {error}); their columns are told in "
            "scripts/demo_orders.py",
            exit_code=2,
        ) from None
    if not count:
        raise DemoError(f"there are no orders in {orders}", exit_code=2)
    return count


class OrdersStory:
    """Sweeps day by day, lets the newest outreaches be approved, and follows them to their outcome."""

    def __init__(self, stage: Stage, record: Record, now: datetime, count: int) -> None:
        self._stage, self._record, self._screen = stage, record, stage.screen
        self._now, self._count = now, count

    def play(self) -> None:
        """Plays the story to its recorded outcomes; raises DemoError when something promised does not hold."""
        self._customers()
        made = self._sweep()
        told_at = datetime.now(UTC)
        plans = self._decide([one.outreach for one in made if one.outreach])
        self._promises(plans)
        customers = affected(SHOP, LATE)
        about = Behaviour(reason="where_is_my_order", since=told_at, customers=customers, told=0.12, not_told=0.36)
        close_window(self._stage, self._record, list(plans), [about])
        self._check(made, plans)

    def _customers(self) -> None:
        self._screen.chapter("The orders and their customers")
        people = affected(SHOP, "SELECT customer_id FROM orders")
        self._screen.say(
            f"{self._count:,} real orders of {len(people):,} customers, all dates moved so that {LAST_DAY}, 00:00 UTC, "
            "is now. Of the customers only ids are known; the e-mail addresses are made up, at example.org, where "
            "nobody lives."
        )
        with PEOPLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "email"))
            writer.writerows((customer, f"{customer[:12]}@example.org") for customer in people)
        self._stage.tellfirst("customers", "import", str(PEOPLE))

    def _sweep(self) -> list[Sweep]:
        self._screen.chapter("One sweep a day")
        made = sweeps(self._now)
        self._screen.say(
            f"{len(made)} sweeps, each looking as of its own day: that of {FIRST_DAY} is {made[0].at:%d %b %Y} here. "
            "An order is new once. One that was late for more than 14 days when it was first seen is recorded as too "
            "late and never messaged; so is one whose sweep itself is more than 14 days old by now (`max_age`)."
        )
        self._screen.command(["tellfirst", "detect", "late_delivery", "--at", _iso(made[0].at), "--json"])
        self._screen.verbatim(f"{'day':<10}  {'found':>5}  {'new':>4}  {'too late':>8}  outreach")
        done = []
        for one in made:
            found = json.loads(self._stage.read("detect", "late_delivery", "--at", _iso(one.at), "--json"))
            key = sweep_id(one.at)
            started = any(condition["key"] == key for condition in found["conditions"])
            counts = {name: found[name] for name in ("subjects", "new", "too_late")}
            outreach = f"outreach/late_delivery/{key}/1" if started else ""
            done.append(one.model_copy(update={**counts, "outreach": outreach}))
            print(
                f"{one.day}  {found['subjects']:>5}  {found['new']:>4}  {found['too_late']:>8}  {outreach or '-'}",
                flush=True,
            )
        return done

    def _decide(self, outreaches: list[str]) -> dict[str, Plan]:
        self._screen.chapter(f"Ana decides the {DECIDED} newest")
        newest = outreaches[-DECIDED:]
        plans = {outreach: self._record.plan(outreach) for outreach in newest}
        self._stage.tellfirst("pending")
        self._screen.say(
            "What waits longer expires: silence is never approval, and nobody is told. What is not listed was too old."
        )
        self._stage.tellfirst("show", newest[-1])
        for outreach in newest:
            self._stage.tellfirst("approve", outreach, "--yes")
        told = sum(self._record.wait_for_start(outreach) for outreach in newest)
        arms = [self._record.arms(outreach) for outreach in newest]
        arrived = sum(arm.get("treated", 0) for arm in arms) - told
        held_out = sum(arm.get("control", 0) for arm in arms)
        self._screen.say(
            f"{told} messages have left. Held out, to measure against: {counted(held_out, 'customer')}. Arrived since "
            f"its sweep, so that nobody is told: {counted(arrived, 'order')}."
        )
        return plans

    def _promises(self, plans: dict[str, Plan]) -> None:
        self._screen.chapter("The promises fall due")
        last = max(plan.updates[0].due or self._now for plan in plans.values())
        self._screen.say(f"Waiting for the promised updates, the last of them due {clock(last)}.")
        news = [self._record.wait_for_news(outreach, plan.updates[0].due) for outreach, plan in plans.items()]
        updates, resolved = (sum(counts) for counts in zip(*news, strict=True))
        self._screen.say(
            f"By {clock(datetime.now(UTC))} the promises are kept: {counted(updates, 'update')} and "
            f"{counted(resolved, 'message')} that an order has arrived had left."
        )

    def _check(self, made: list[Sweep], plans: dict[str, Plan]) -> None:
        self._screen.chapter("What came of it")
        outreaches = {one.outreach: one.new - one.too_late for one in made if one.outreach}
        for outreach in outreaches:
            self._record.wait_for_end(outreach)
        orders: Counter[str] = Counter({"recorded as too late": sum(one.too_late for one in made)})
        count: Counter[str] = Counter()
        for outreach, subjects in outreaches.items():
            ending = self._record.ending(outreach)
            orders[ending] += subjects
            count[ending] += 1
            if (ending == "measured") != (outreach in plans) or ending not in ENDINGS:
                raise DemoError(f"{outreach} ended as {ending}")
            if ending != "measured" and self._record.sent(outreach, "initial"):
                raise DemoError(f"somebody was told by {outreach}, which ended as {ending}")
        self._screen.table(
            ("orders that were found", "orders", "outreaches"),
            [(ENDINGS.get(name, name), orders[name], count[name] or "-") for name in orders],
            numbers=("orders", "outreaches"),
        )
        self._admitted_once(made, orders.total())
        self._stage.tellfirst("report")
        self._screen.say("And whether all that was promised held, recomputed from the records:")
        self._stage.tellfirst("verify")

    def _admitted_once(self, made: list[Sweep], accounted: int) -> None:
        """Compares the sweeps with the ledger, and both with the rule run once more for every day."""
        detector = load_file(Path("playbooks/late_delivery.toml")).playbook.detector
        parameters = {name: parameter.default for name, parameter in detector.parameters.items()}
        with SqlSource(f"sqlite:///{SHOP}") as source:
            seen = {f.subject_key for one in made for f in source.sweep(detector, at=one.at, parameters=parameters)}
        with closing(sqlite3.connect("tellfirst.db")) as connection:
            ledger = connection.execute("SELECT count(*), count(DISTINCT subject_key) FROM admissions").fetchone()
        counts = {sum(one.new for one in made), accounted, len(seen), *ledger}
        if len(counts) != 1:
            raise DemoError("an order was admitted twice or not at all")
        self._screen.say(f"{len(seen)} different orders were late on one of these days; each was admitted once.")


ENDINGS = {
    "recorded as too late": "late for more than 14 days when first seen: recorded, not messaged",
    "nothing_to_do": "their sweep is more than 14 days old: recorded, not messaged",
    "expired": "nobody decided in time: not messaged",
    "measured": "approved: told or held out, followed up and measured",
}


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
