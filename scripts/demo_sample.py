"""The sample data of the demo, made with a fixed seed: customers and a shop's own database."""

import csv
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

SEED = 2026
IDS = [f"c-{number:04d}" for number in range(1, 801)]
WITH_LATE_ORDERS = IDS[:600]
OPTED_OUT = "c-0123"
"""The customer who wants no messages; an order of theirs is late."""
REGION = "eu-central"

_FIRST_NAMES = (
    *("Amara", "Beatriz", "Chidi", "Dagny", "Emre", "Farida", "Giulia", "Hiroshi", "Ines", "Jonas", "Kavya", "Leila"),
    *("Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sven", "Tomas", "Uma", "Vera", "Wanjiru", "Yusuf"),
)
# 555-0100 to 555-0199 are set aside for stories in every area, and example.org for examples: they belong to nobody.
_AREAS = (202, 206, 212, 303, 312, 415, 617, 713)
LATE = """
SELECT customer_id FROM orders
WHERE delivered_at IS NULL AND promised_at < strftime('%Y-%m-%dT%H', 'now', '-1 day')
"""
IN_REGION = f"SELECT customer_id FROM accounts WHERE region = '{REGION}'"

_REGIONS = (REGION, REGION, "us-east", "ap-south")
_TABLES = """
CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT, status TEXT, placed_at TEXT, promised_at TEXT,
                     delivered_at TEXT);
CREATE TABLE payments (payment_id TEXT PRIMARY KEY, customer_id TEXT, status TEXT, amount REAL, currency TEXT,
                       failed_at TEXT, retry_at TEXT);
CREATE TABLE accounts (account_id TEXT PRIMARY KEY, customer_id TEXT, region TEXT);
"""


def write_customers(path: Path) -> None:
    """Writes the customers: most have a phone number, some only e-mail; one has opted out of everything."""
    random = Random(SEED)
    rows = []
    for number, id_ in enumerate(IDS):
        name, language = random.choice(_FIRST_NAMES), random.choices(("en", "de"), (85, 15))[0]
        row = {"id": id_, "first_name": name, "locale": language, "opt_out": "*" if id_ == OPTED_OUT else ""}
        if id_ in WITH_LATE_ORDERS and random.random() < 0.25:
            row["email"] = f"{name.lower()}.{number}@example.org"
        else:
            row["sms"] = f"+1{_AREAS[number // 100]}55501{number % 100:02d}"
        rows.append(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("id", "first_name", "locale", "sms", "email", "opt_out"))
        writer.writeheader()
        writer.writerows(rows)


def write_shop(path: Path, now: datetime) -> None:
    """Writes the shop's own database as it stands at `now`: orders, payments, accounts."""
    random = Random(SEED + 1)
    # A few have two late orders and get one message about both.
    late = [*WITH_LATE_ORDERS, *WITH_LATE_ORDERS[::40]]
    orders = [_order(n, customer, now, random, late=True) for n, customer in enumerate(late, start=500_000)]
    orders += [_order(n, customer, now, random, late=False) for n, customer in enumerate(IDS, start=600_000)]
    # Nobody has a late order and an account, so that whoever got a message knows what it was about.
    rest = IDS[len(WITH_LATE_ORDERS) :]
    payments = [
        _payment(n, customer, now, random, failed=n < 24) for n, customer in enumerate(random.sample(rest, 150))
    ]
    accounts = [(f"a-{n:04d}", customer, _REGIONS[n % 4]) for n, customer in enumerate(rest)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_TABLES)
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", orders)
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?)", payments)
        connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", accounts)


def _order(number: int, customer: str, now: datetime, random: Random, *, late: bool) -> tuple[str | None, ...]:
    hours = random.uniform(25, 96) if late else random.uniform(-96, 96)
    promised = now - timedelta(hours=hours)
    delivered = None if late or hours < 0 else promised - timedelta(hours=random.uniform(1, 48))
    status = "shipped" if delivered is None else "delivered"
    placed = promised - timedelta(days=random.uniform(4, 9))
    return f"{number}", customer, status, _text(placed), _text(promised), _text(delivered) if delivered else None


def _payment(
    number: int, customer: str, now: datetime, random: Random, *, failed: bool
) -> tuple[str | float | None, ...]:
    failed_at = _text(now - timedelta(hours=random.uniform(2, 20))) if failed else None
    retry_at = _text(now + timedelta(days=2)) if failed else None
    status, amount = ("failed" if failed else "paid"), random.choice((4.99, 9.99, 19.99))
    return f"p-{number:04d}", customer, status, amount, "USD", failed_at, retry_at


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
