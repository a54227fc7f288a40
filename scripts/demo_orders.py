"""Loads the public Olist orders into a SQLite file, as the demo's stand-in for a shop's own database."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

ORDERS_FILE = "olist_orders_dataset.csv"
_CUSTOMERS = "olist_customers_dataset.csv"


def load_olist(directory: Path, database: Path, *, moved: timedelta = timedelta(0)) -> int:
    """Writes the orders of `directory` to the table `orders` of the new SQLite file `database`; returns how many.

    Every instant is moved by `moved`, so that old orders are read as if they were of today.

    | column | from | form |
    |---|---|---|
    | order_id | order_id | text, primary key |
    | customer_id | customer_unique_id of the customers file when present, else customer_id | text |
    | status | order_status | text |
    | placed_at | order_purchase_timestamp | ISO 8601 text, UTC |
    | promised_at | order_estimated_delivery_date | ISO 8601 text, UTC |
    | delivered_at | order_delivered_customer_date | ISO 8601 text, UTC, or NULL while open |

    A customer has a new customer_id with every order there; customer_unique_id is the person. The timestamps have no
    zone and are read as UTC. Raises OSError, KeyError or ValueError for files that are not like this.
    """
    people = _people(directory / _CUSTOMERS)
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, status TEXT NOT NULL,"
            " placed_at TEXT NOT NULL, promised_at TEXT NOT NULL, delivered_at TEXT)"
        )
        rows = [
            (
                row["order_id"],
                people.get(row["customer_id"], row["customer_id"]),
                row["order_status"],
                _utc(row["order_purchase_timestamp"], moved),
                _utc(row["order_estimated_delivery_date"], moved),
                _utc(row["order_delivered_customer_date"], moved),
            )
            for row in _read(directory / ORDERS_FILE)
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)
    return len(rows)


def _people(path: Path) -> dict[str, str]:
    return {row["customer_id"]: row["customer_unique_id"] for row in _read(path)} if path.is_file() else {}


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        yield from csv.DictReader(lines)


def _utc(text: str, moved: timedelta) -> str | None:
    """Returns ISO 8601 UTC text for `m/d/Y H:M`, or None for an empty field."""
    if not text:
        return None
    return (datetime.strptime(f"{text} +0000", "%m/%d/%Y %H:%M %z") + moved).isoformat()
