"""Runs rules on both databases: what is found, what is refused, and that nothing is written."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from tellfirst.detectors.finding import read_row
from tellfirst.detectors.sql import Finding, SqlSource
from tellfirst.errors import InputError, SourceError
from tellfirst.playbooks.schema import AudienceQuery, Detector, Parameter
from tests.detectors.conftest import Database

AT = datetime(2026, 3, 10, tzinfo=UTC)
HOURS = {"threshold_hours": 24}
LATE = {
    "sqlite": """
        SELECT order_id AS subject_key, customer_id AS customer_ref, promised_at AS since, promised_at, status
        FROM orders
        WHERE strftime('%s', placed_at) <= strftime('%s', :at)
          AND (delivered_at IS NULL OR strftime('%s', delivered_at) > strftime('%s', :at))
          AND status NOT IN ('canceled', 'unavailable')
          AND strftime('%s', promised_at) + :threshold_hours * 3600 <= CAST(strftime('%s', :at) AS INTEGER);
        """,
    "postgresql": """
        SELECT order_id AS subject_key, customer_id AS customer_ref, promised_at AS since, promised_at, status
        FROM orders
        WHERE placed_at <= CAST(:at AS timestamptz)
          AND (delivered_at IS NULL OR delivered_at > CAST(:at AS timestamptz))
          AND status NOT IN ('canceled', 'unavailable')
          AND promised_at + make_interval(hours => :threshold_hours) <= :at::timestamptz -- as of then
        """,
}


def detector(sql: dict[str, str] | str = LATE, **more: object) -> Detector:
    return Detector.model_validate(
        {
            "kind": "sql",
            "sql": {"sqlite": sql, "postgresql": sql} if isinstance(sql, str) else sql,
            "parameters": {"threshold_hours": Parameter(type="integer", default=24, description="hours late")},
            "max_age": timedelta(days=30),
            **more,
        }
    )


def sweep(database: Database, sql: dict[str, str] | str = LATE, **more: object) -> list[Finding]:
    with SqlSource(database.url) as source:
        return source.sweep(detector(sql, **more), at=AT, parameters=HOURS)


def one(select: str) -> str:
    return f"SELECT 's' AS subject_key, 'c' AS customer_ref, '2026-03-08' AS since{select}"


def test_a_rule_finds_what_is_late_at_that_instant(database: Database) -> None:
    found = {finding.subject_key: finding for finding in sweep(database)}
    assert sorted(found) == ["o-at-threshold", "o-late", "o-later-delivered"]
    assert found["o-late"] == Finding(
        subject_key="o-late",
        customer_ref="c-1",
        since=datetime(2026, 3, 8, tzinfo=UTC),
        facts={"promised_at": "2026-03-08T00:00:00+00:00", "status": "shipped"},
    )


def test_the_instant_may_be_in_any_zone(database: Database) -> None:
    with SqlSource(database.url) as source:
        elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
        assert len(source.sweep(detector(), at=elsewhere, parameters=HOURS)) == 3
        with pytest.raises(ValueError, match="aware"):
            source.sweep(detector(), at=datetime(2026, 3, 10), parameters=HOURS)  # noqa: DTZ001


def test_the_threshold_moves_the_result(database: Database) -> None:
    with SqlSource(database.url) as source:
        assert len(source.sweep(detector(), at=AT, parameters={"threshold_hours": 49})) == 0
        assert len(source.sweep(detector(), at=AT, parameters={"threshold_hours": 48})) == 2


def test_still_names_those_that_the_rule_still_finds(database: Database) -> None:
    with SqlSource(database.url) as source:
        keys = [f"none-{n}" for n in range(1_100)] + ["o-late", "o-delivered", "o-later-delivered"]
        found = source.still(detector(), keys, at=AT, parameters=HOURS)
        assert sorted(found) == ["o-late", "o-later-delivered"]
        assert found["o-late"].customer_ref == "c-1"
        after = source.still(detector(), keys, at=datetime(2026, 3, 13, tzinfo=UTC), parameters=HOURS)
        assert sorted(after) == ["o-late"]
        assert source.still(detector(), [], at=AT, parameters=HOURS) == {}


def test_integer_keys_become_text_and_are_found_again(database: Database) -> None:
    rule = detector("SELECT 42 AS subject_key, 7 AS customer_ref, '2026-03-08' AS since")
    with SqlSource(database.url) as source:
        assert source.sweep(rule, at=AT, parameters={})[0].subject_key == "42"
        assert source.still(rule, ["42", "43"], at=AT, parameters={})["42"].customer_ref == "7"


@pytest.mark.parametrize(("rows", "chunk", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (0, 3, [])])
def test_an_audience_comes_in_chunks(database: Database, rows: int, chunk: int, sizes: list[int]) -> None:
    query = AudienceQuery.model_validate(
        {
            "sql": dict.fromkeys(
                ("sqlite", "postgresql"),
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)"
                " SELECT 'k' || i AS subject_key, 'c' || i AS customer_ref, '2026-03-08' AS since"
                " FROM n WHERE i <= :rows",
            )
        }
    )
    with SqlSource(database.url) as source:
        pages = list(source.audience(query, parameters={"rows": rows}, at=AT, chunk=chunk))
        assert [len(page) for page in pages] == sizes
        assert [finding.subject_key for page in pages for finding in page] == [f"k{i + 1}" for i in range(rows)]


def test_an_audience_left_half_read_leaves_the_source_usable(database: Database) -> None:
    query = AudienceQuery.model_validate({"sql": dict.fromkeys(("sqlite", "postgresql"), LATE[database.dialect])})
    with SqlSource(database.url) as source:
        pages = source.audience(query, parameters=HOURS, at=AT, chunk=1)
        assert len(next(pages)) == 1
        pages.close()
        assert len(source.sweep(detector(), at=AT, parameters=HOURS)) == 3


def test_values_become_facts(database: Database) -> None:
    if database.dialect == "sqlite":
        select = one(", 1 AS whole, NULL AS absent, 'x' AS words")
        expected: dict[str, object] = {"whole": 1, "absent": None, "words": "x"}
    else:
        select = one(
            ", 12.50::numeric AS amount, true AS yes, date '2026-03-08' AS day, NULL AS absent,"
            " timestamp '2026-03-08 01:00' AS naive, timestamptz '2026-03-08 01:00+02' AS aware"
        )
        expected = {
            "amount": "12.50",
            "yes": True,
            "day": "2026-03-08",
            "absent": None,
            "naive": "2026-03-08T01:00:00+00:00",
            "aware": "2026-03-07T23:00:00+00:00",
        }
    assert sweep(database, select)[0].facts == expected


@pytest.mark.parametrize(
    ("since", "read"),
    [
        ("'2026-03-08'", datetime(2026, 3, 8, tzinfo=UTC)),
        ("'2026-03-08 06:00:00'", datetime(2026, 3, 8, 6, tzinfo=UTC)),
        ("'2026-03-08T06:00:00Z'", datetime(2026, 3, 8, 6, tzinfo=UTC)),
        ("'2026-03-08T06:00:00+02:00'", datetime(2026, 3, 8, 4, tzinfo=UTC)),
    ],
)
def test_since_is_text_or_a_timestamp_and_naive_means_utc(database: Database, since: str, read: datetime) -> None:
    found = sweep(database, f"SELECT 's' AS subject_key, 'c' AS customer_ref, {since} AS since")
    assert found[0].since == read
    if database.dialect == "postgresql":
        typed = f"SELECT 's' AS subject_key, 'c' AS customer_ref, CAST({since} AS timestamptz) AS since"
        assert sweep(database, typed)[0].since == read


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 's' AS subject_key, 'c' AS customer_ref", "does not yield the column 'since'"),
        (one(", 1 AS a, 2 AS a"), "the column 'a"),
        (one(", CAST(1.5 AS REAL) AS price"), "column 'price' holds a value of type float"),
        ("SELECT 's' AS subject_key, 'c' AS customer_ref, NULL AS since", "column 'since' holds nothing"),
        ("SELECT 's' AS subject_key, 'c' AS customer_ref, 'secret' AS since", "column 'since' holds text"),
        (
            "SELECT 's' AS subject_key, NULL AS customer_ref, '2026-01-01' AS since",
            "column 'customer_ref' holds nothing",
        ),
        (
            "SELECT '' AS subject_key, 'c' AS customer_ref, '2026-01-01' AS since",
            "column 'subject_key' holds an id of 0",
        ),
        (
            "SELECT 's' AS subject_key, 'ann@example.org' AS customer_ref, '2026-01-01' AS since",
            "column 'customer_ref' holds an e-mail address",
        ),
        (one("") + " UNION ALL " + one(""), "finds a subject twice"),
        (one(", :undeclared AS x"), "binds ':undeclared'"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_a_rule_that_breaks_its_contract_is_refused(database: Database, sql: str, says: str) -> None:
    with pytest.raises(SourceError) as refused:
        sweep(database, sql)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "ann@" not in str(refused.value)


def test_a_rule_for_another_dialect_is_refused(database: Database) -> None:
    other = "postgresql" if database.dialect == "sqlite" else "sqlite"
    with pytest.raises(SourceError, match=f"no SQL for {database.dialect}"):
        sweep(database, {other: LATE[other]})


def test_more_rows_than_the_limit_are_refused_and_as_many_are_not(database: Database) -> None:
    with pytest.raises(SourceError, match=r"more than 2 subjects.*row_limit"):
        sweep(database, row_limit=2)
    assert len(sweep(database, row_limit=3)) == 3


def test_a_slow_rule_is_stopped(database: Database) -> None:
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT 's' || i AS subject_key, 'c' AS customer_ref, '2026-01-01' AS since FROM n WHERE i < 0",
        "postgresql": one(", pg_sleep(60)::text AS waited"),
    }
    with SqlSource(database.url) as source:
        rule = detector(slow, timeout=timedelta(milliseconds=200))
        with pytest.raises(SourceError, match=r"longer than 0\.2 seconds"):
            source.sweep(rule, at=AT, parameters={})
        assert len(source.sweep(detector(), at=AT, parameters=HOURS)) == 3


@pytest.mark.parametrize("value", ["1); DROP TABLE orders; --", "'; DELETE FROM orders; --", "x' OR '1'='1"])
def test_a_hostile_parameter_stays_a_value(database: Database, value: str) -> None:
    rule = (
        "SELECT order_id AS subject_key, customer_id AS customer_ref, '2026-01-01' AS since"
        " FROM orders WHERE status = :status"
    )
    with SqlSource(database.url) as source:
        assert source.sweep(detector(rule), at=AT, parameters={"status": value}) == []
        assert source.still(detector(rule), [value], at=AT, parameters={"status": "shipped"}) == {}
    assert database.count("orders") == 7


@pytest.mark.parametrize(
    "rule",
    [
        "INSERT INTO orders (order_id) VALUES ('x') RETURNING order_id AS subject_key",
        "DELETE FROM orders",
        one("") + ") AS x; DELETE FROM orders; SELECT * FROM (" + one(""),
        one("") + ") AS x; DELETE FROM orders; --",
        one("") + "; DELETE FROM orders",
        one("") + ") AS x; COMMIT; DELETE FROM orders; SELECT * FROM (" + one(""),
    ],
)
def test_a_hostile_rule_writes_nothing(database: Database, rule: str) -> None:
    with pytest.raises(SourceError):
        sweep(database, rule)
    assert database.count("orders") == 7


def test_the_connection_itself_refuses_to_write(database: Database) -> None:
    with SqlSource(database.url) as source, source._translated(timedelta(seconds=5)):
        for statement in (
            "INSERT INTO orders (order_id) VALUES ('x')",
            "CREATE TABLE t (a INTEGER)",
            "CREATE TEMP TABLE t (a INTEGER)",
        ):
            with pytest.raises(Exception, match=r"readonly|read-only"):
                source._connection.execute(text(statement))
            source._connection.rollback()
    assert database.count("orders") == 7


def test_a_function_with_a_side_effect_is_refused_by_the_transaction(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no functions that write")
    database.write("CREATE SEQUENCE counter")
    with pytest.raises(SourceError, match="read-only transaction"):
        sweep(database, one(", nextval('counter') AS n"))


def test_a_rule_works_in_utc_whatever_the_role_prefers(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no session zone")
    with SqlSource(database.url + "&options=-c%20TimeZone%3DAsia/Tokyo") as source:
        rule = detector(one(", CAST(timestamptz '2026-03-08 00:00+00' AS text) AS words"))
        assert source.sweep(rule, at=AT, parameters={})[0].facts["words"] == "2026-03-08 00:00:00+00"


def test_text_of_a_row_never_stands_in_an_error(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite casts anything")
    with pytest.raises(SourceError) as refused:
        sweep(
            database,
            "SELECT 's' AS subject_key, 'c' AS customer_ref, CAST('Ann Smith' || status AS date) AS since FROM orders",
        )
    assert "Ann" not in str(refused.value)
    assert "22007" in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_file_is_named_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///gone.db", f"sqlite:///{tmp_path / 'gone.db'}"):
        with pytest.raises(SourceError, match=r"gone\.db: there is no such database file"):
            SqlSource(url).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_read(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.dialect != "sqlite":
        pytest.skip("a server has no path")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd #% name.db").write_bytes((tmp_path / "shop.db").read_bytes())
    for name in ("shop.db", "odd #% name.db"):
        with SqlSource(f"sqlite:///{name}") as source:
            assert len(source.sweep(detector(), at=AT, parameters=HOURS)) == 3


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database at all, only text" * 100)
    with pytest.raises(SourceError, match="not a database"), SqlSource(f"sqlite:///{tmp_path / 'notes.db'}") as source:
        source.sweep(detector(), at=AT, parameters=HOURS)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:hunter2@127.0.0.1:1/shop",
        "postgresql://shop@127.0.0.1:1/shop?password=hunter2",
        "postgresql+psycopg://shop:hunter2@127.0.0.1:1/shop",
        "postgresql://shop:hunter2@127.0.0.1:hunter2/shop",
        "postgresql+psycopg2://shop:hunter2@127.0.0.1/shop",
        "mysql://shop:hunter2@127.0.0.1/shop",
        "hunter2",
    ],
)
def test_a_password_never_stands_in_an_error(url: str) -> None:
    with pytest.raises((SourceError, InputError)) as refused, SqlSource(url):
        pass
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite:///shop.db", ""])
def test_a_url_without_a_source_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="sqlite:///"):
        SqlSource(url)


def test_a_source_is_used_in_a_with_statement(database: Database) -> None:
    with pytest.raises(RuntimeError, match="with statement"):
        SqlSource(database.url).sweep(detector(), at=AT, parameters=HOURS)


def test_a_date_is_midnight_utc() -> None:
    row = {"subject_key": "s", "customer_ref": "c", "since": date(2026, 3, 8)}
    assert read_row(row).since == datetime(2026, 3, 8, tzinfo=UTC)
