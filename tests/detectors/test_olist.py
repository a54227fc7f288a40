"""Checks the rule against real orders: how many were late at an instant is known from another computation."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tellfirst.detectors.sql import SqlSource
from tests.detectors.test_sql import detector

ROOT = Path(__file__).parents[2]
OLIST = ROOT.parent / "shared/data/olist/first5000"


def loader() -> Callable[[Path, Path], int]:
    spec = spec_from_file_location("demo_orders", ROOT / "scripts/demo_orders.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    load: Callable[[Path, Path], int] = module.load_olist
    return load


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not OLIST.is_dir():
        pytest.skip("the Olist orders are not there (../shared/data/olist/first5000)")
    database = tmp_path_factory.mktemp("olist") / "orders.db"
    assert loader()(OLIST, database) == 5_000
    return database


@pytest.mark.parametrize(
    ("at", "late"),
    [
        (datetime(2017, 12, 1, tzinfo=UTC), {24: 46, 72: 45, 168: 42}),
        (datetime(2018, 3, 15, tzinfo=UTC), {24: 78, 72: 73, 168: 69}),
        (datetime(2018, 8, 10, tzinfo=UTC), {24: 96, 72: 92, 168: 91}),
    ],
)
def test_the_rule_finds_the_known_number_of_late_orders(orders: Path, at: datetime, late: dict[int, int]) -> None:
    with SqlSource(f"sqlite:///{orders}") as source:
        found = {hours: len(source.sweep(detector(), at=at, parameters={"threshold_hours": hours})) for hours in late}
    assert found == late


def test_customers_are_people_and_not_orders(orders: Path) -> None:
    with closing(sqlite3.connect(orders)) as connection:
        [(people,)] = connection.execute("SELECT count(DISTINCT customer_id) FROM orders")
    assert people < 5_000


def test_orders_without_a_customers_file_keep_their_own_ids(tmp_path: Path) -> None:
    (tmp_path / "olist_orders_dataset.csv").write_text(
        "order_id,customer_id,order_status,order_purchase_timestamp,order_delivered_customer_date,"
        "order_estimated_delivery_date\no1,c1,shipped,3/1/2018 9:05,,3/8/2018 0:00\n"
    )
    assert loader()(tmp_path, tmp_path / "orders.db") == 1
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
        assert connection.execute("SELECT * FROM orders").fetchall() == [
            ("o1", "c1", "shipped", "2018-03-01T09:05:00+00:00", "2018-03-08T00:00:00+00:00", None)
        ]
