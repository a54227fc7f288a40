"""The shipped playbooks: their words hold their length, and their rules find what they say, on both databases."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tellfirst.detectors.sql import SqlSource
from tellfirst.playbooks.gsm import segments
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.render import check_facts, compile_step, sample_facts
from tellfirst.playbooks.schema import Playbook

AT = datetime(2026, 3, 10, tzinfo=UTC)
NAMES = ["late_delivery", "payment_failed", "service_disruption"]
Fill = Callable[[str, Sequence[tuple[object, ...]]], SqlSource]


def shipped(name: str) -> Playbook:
    return load_library([LIBRARY])[name].playbook


def test_three_playbooks_are_shipped() -> None:
    assert sorted(load_library([LIBRARY])) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_step_speaks_on_every_channel_and_is_resolved(name: str) -> None:
    playbook = shipped(name)
    assert set(playbook.channels) >= {"sms", "email", "in_app"}
    assert playbook.updates
    assert playbook.resolved
    for step in playbook.steps:
        for channel in playbook.channels:
            for locale in step.messages[channel]:
                for others in (0, 1, 99):
                    rendered = compile_step(playbook, step.id, channel, locale).render(
                        sample_facts(playbook), promise=AT, zone="Asia/Kathmandu", others=others
                    )
                    assert bool(rendered.subject) == (channel in ("email", "in_app", "push"))
                    assert bool(rendered.template) == (channel == "whatsapp")
                    assert channel != "sms" or segments(rendered.body) <= 3
                    assert "  " not in rendered.body


def test_late_delivery_speaks_german_too() -> None:
    for step in shipped("late_delivery").steps:
        assert all(set(locales) == {"en", "de"} for locales in step.messages.values())


@pytest.fixture(params=["sqlite", "postgresql", "postgresql-text"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fill]:
    """Fills a table whose instants are text or real timestamps, and opens it as a source."""
    dialect, _, kind = request.param.partition("-")
    opened: list[SqlSource] = []

    def fill(columns: str, rows: Sequence[tuple[object, ...]]) -> SqlSource:
        instant = "text" if kind or dialect == "sqlite" else "timestamptz"
        name, _, rest = columns.partition("(")
        create = f"CREATE TABLE {name}({rest.replace('INSTANT', instant)}"
        if dialect == "sqlite":
            url = f"sqlite:///{tmp_path / 'source.db'}"
            with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
                connection.execute(create)
                connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        else:
            url = request.getfixturevalue("postgresql_server")
            with psycopg.connect(url) as server:
                server.execute(f"DROP TABLE IF EXISTS {name}")
                server.execute(create)
                server.cursor().executemany(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)
        opened.append(SqlSource(url).__enter__())
        return opened[-1]

    yield fill
    for source in opened:
        source.__exit__(None, None, None)


ORDERS = (
    "orders (order_id text, customer_id text, status text,"
    " placed_at INSTANT, promised_at INSTANT, delivered_at INSTANT)"
)


def test_late_delivery_finds_what_is_open_and_late_as_of_the_instant(table: Fill) -> None:
    placed, promised = "2026-03-01T10:00:00Z", "2026-03-08 00:00:00"
    source = table(
        ORDERS,
        [
            ("late", "c1", "shipped", placed, promised, None),
            ("later-delivered", "c2", "delivered", placed, promised, "2026-03-10T00:00:01Z"),
            ("delivered", "c3", "delivered", placed, promised, "2026-03-10T00:00:00Z"),
            ("canceled", "c4", "canceled", placed, promised, None),
            ("unavailable", "c5", "unavailable", placed, promised, None),
            ("unknown-status", "c6", None, placed, promised, None),
            ("at-threshold", "c7", "shipped", placed, "2026-03-09T02:00:00+02:00", None),
            ("a-second-early", "c8", "shipped", placed, "2026-03-09T00:00:01Z", None),
            ("placed-now", "c9", "shipped", "2026-03-10T00:00:00Z", promised, None),
            ("not-yet-placed", "c10", "shipped", "2026-03-10T00:00:01Z", promised, None),
            ("no-promise", "c11", "shipped", placed, None, None),
        ],
    )
    playbook = shipped("late_delivery")
    found = {f.subject_key: f for f in source.sweep(playbook.detector, at=AT, parameters={"threshold_hours": 24})}
    assert set(found) == {"late", "later-delivered", "unknown-status", "at-threshold", "placed-now"}
    assert found["late"].customer_ref == "c1"
    assert found["late"].since == datetime(2026, 3, 8, tzinfo=UTC)
    assert found["at-threshold"].since == datetime(2026, 3, 9, tzinfo=UTC)
    assert found["late"].facts == {"order_id": "late", "promised_at": "2026-03-08"}
    check_facts(playbook, found["late"].facts)
    fewer = source.sweep(playbook.detector, at=AT, parameters={"threshold_hours": 48})
    assert {f.subject_key for f in fewer} == {"late", "later-delivered", "unknown-status", "placed-now"}


PAYMENTS = (
    "payments (payment_id text, customer_id text, status text, amount numeric, currency text,"
    " failed_at INSTANT, retry_at INSTANT)"
)


def test_payment_failed_leaves_fresh_failures_alone_and_names_only_a_retry_to_come(table: Fill) -> None:
    source = table(
        PAYMENTS,
        [
            ("retried", "c1", "failed", 12.5, "EUR", "2026-03-09T23:00:00Z", "2026-03-12 08:00:00"),
            ("given-up", "c2", "failed", 9, "EUR", "2026-03-09T23:00:00Z", None),
            ("retry-passed", "c3", "failed", 1234.56, "USD", "2026-03-08T23:00:00Z", "2026-03-09T23:00:00Z"),
            ("fresh", "c4", "failed", 5, "EUR", "2026-03-09T23:00:01Z", None),
            ("paid", "c5", "paid", 5, "EUR", "2026-03-01T00:00:00Z", None),
        ],
    )
    playbook = shipped("payment_failed")
    found = {f.subject_key: f for f in source.sweep(playbook.detector, at=AT, parameters={"grace_minutes": 60})}
    assert set(found) == {"retried", "given-up", "retry-passed"}
    assert [found[key].facts["amount"] for key in ("retried", "given-up", "retry-passed")] == [
        "12.50 EUR",
        "9.00 EUR",
        "1234.56 USD",
    ]
    assert datetime.fromisoformat(str(found["retried"].facts["retry_at"])) == datetime(2026, 3, 12, 8, tzinfo=UTC)
    assert found["given-up"].facts["retry_at"] is None
    assert found["retry-passed"].facts["retry_at"] is None
    assert found["retried"].since == datetime(2026, 3, 9, 23, tzinfo=UTC)
    for finding in found.values():
        check_facts(playbook, finding.facts)


def test_service_disruption_names_the_accounts_of_a_region(table: Fill) -> None:
    source = table(
        "accounts (account_id text, customer_id text, region text)",
        [("a1", "c1", "eu-central"), ("a2", "c1", "eu-central"), ("a3", "c2", "us-east")],
    )
    query = shipped("service_disruption").audience["affected_region"]
    (page,) = source.audience(query, parameters={"region": "eu-central"}, at=AT)
    assert {f.subject_key for f in page} == {"a1", "a2"}
    assert {f.since for f in page} == {AT}


def test_amounts_and_names_never_stand_in_a_text() -> None:
    for name in NAMES:
        playbook = shipped(name)
        assert playbook.data["first_name"].class_ == "personal"
        for step in playbook.steps:
            for parts in step.messages["sms"].values():
                assert "first_name" not in parts.model_dump_json()
                assert "amount" not in parts.model_dump_json()
