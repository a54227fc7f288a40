"""A made-up installation in DuckDB, the same at every run, and what its windows hold, counted by DuckDB itself."""

from pathlib import Path
from typing import Any

import duckdb

PER_OUTREACH = 5_000
"""Recipients of one outreach, or a fourth of all if those are fewer."""

TABLES = {
    "customers": "id, cluster, locale, business, high_value, created_at",
    "outreaches": "id, trigger, key, episode, first_run, started_at, detected_at, facts, paused, reason, proposer,"
    " reason_code",
    "recipients": "id, outreach_id, revision, position, page, customer_id, subject_key, channel, locale, timezone,"
    " cluster, facts, others, address_digest, content_digest, verdict, arm, share, t0, window_end",
    "contacts": "source, id, version, customer_id, cluster, reason_code, channel, occurred_at, handle_seconds,"
    " resolved_at, imported_at",
    "merges": "old, into, at, by",
    "consents": "customer_id, channel, purpose, allowed, at, source",
}
"""The columns of each table, in the order that foreign keys want."""


def chance(number: int) -> str:
    """Returns what is from 0 to 1 for the row `i`, another for each number."""
    return f"hash(i * 1000003 + {number}) / 18446744073709551616.0"


def make(path: Path, recipients: int) -> duckdb.DuckDBPyConnection:
    """Fills a file: customers in households, outreaches of eight reasons that overlap, five contacts per recipient."""
    size, people = min(PER_OUTREACH, recipients // 4), int(recipients * 0.9)
    made = duckdb.connect(str(path), config={"threads": 2})
    made.execute("SET TimeZone = 'UTC'")
    began = "timestamptz '2026-01-01'"
    moment = f"{began} - INTERVAL 14 DAY + to_microseconds(CAST({{}} * 160 * 86400000000 AS BIGINT))"
    made.execute(f"""
        CREATE TABLE customers AS
        SELECT 'c-' || i AS id, 'a-' || (i - CASE WHEN i % 4 = 0 THEN 0 ELSE i % 4 // 3 END) AS cluster, 'en' AS locale,
            false AS business, false AS high_value, {began} AS created_at
        FROM range({people}) AS t(i)""")
    made.execute(f"""
        CREATE TABLE merges AS
        SELECT 'a-' || (400 * i + 1) AS old, 'a-' || (400 * i) AS "into", {began} AS at, 'ana' AS by
        FROM range({people // 400}) AS t(i)""")
    made.execute(f"""
        CREATE TABLE outreaches AS
        SELECT 'outreach/trigger_' || i % 8 || '/k-' || i || '/1' AS id, 'trigger_' || i % 8 AS trigger,
            'k-' || i AS key, 1 AS episode, 'run' AS first_run, t0 AS started_at, t0 AS detected_at,
            '{{}}' AS facts, false AS paused, '' AS reason, '' AS proposer, 'reason_' || i % 8 AS reason_code, i AS n,
            t0,
            [3, 7, 14][1 + i % 3] AS days, CAST([0.1, 0.2, 0.5][1 + i % 3] AS DOUBLE) AS share
        FROM (SELECT i, {began} + to_seconds(CAST({chance(1)} * 120 * 86400 AS BIGINT)) AS t0
            FROM range({-(-recipients // size)}) AS t(i))""")
    # Drawn by account and outreach; now and then a customer has two subjects, and a household several rows in waves.
    made.execute(f"""
        CREATE TABLE recipients AS
        SELECT i + 1 AS id, o.id AS outreach_id, 1 AS revision, i % {size} AS position, i % {size} // 500 AS page,
            c.id AS customer_id, 'o-' || i AS subject_key, 'sms' AS channel, 'en' AS locale, 'UTC' AS timezone,
            c.cluster, '{{"order_id": "o-' || i || '"}}' AS facts, 0 AS others, md5('a' || i) AS address_digest,
            md5('b' || i) AS content_digest, 'eligible' AS verdict,
            CASE WHEN hash(o.id || c.cluster) / 18446744073709551616.0 < share THEN 'control' ELSE 'treated' END AS arm,
            share, o.t0 + to_hours(i % 4) AS t0, o.t0 + to_hours(i % 4) + to_days(days) AS window_end
        FROM (SELECT i, i // {size} AS n, 'c-' || CAST(floor({chance(2)} * {people}) AS BIGINT) AS who
            FROM range({recipients}) AS t(i))
        JOIN outreaches AS o USING (n) JOIN customers AS c ON c.id = who""")
    made.execute(f"""
        CREATE TABLE contacts AS
        SELECT 'desk' AS source, 'k-' || i AS id, 1 AS version, c.id AS customer_id,
            coalesce(m."into", c.cluster) AS cluster, reason_code, 'phone' AS channel, occurred_at, handle_seconds,
            CASE WHEN lasting < 0.7 THEN occurred_at + to_seconds(CAST(lasting * 200000 AS BIGINT)) END AS resolved_at,
            occurred_at AS imported_at
        FROM (SELECT i, 'c-' || CAST(floor({chance(3)} * {people}) AS BIGINT) AS who,
            'reason_' || CAST(floor({chance(4)} * {chance(5)} * 12) AS BIGINT) AS reason_code,
            {moment.format(chance(6))} AS occurred_at, {chance(8)} AS lasting,
            CASE WHEN {chance(7)} < 0.8 THEN 60 + CAST({chance(7)} * 900 AS INTEGER) END AS handle_seconds
            FROM range({5 * recipients}) AS t(i))
        JOIN customers AS c ON c.id = who LEFT JOIN merges AS m ON m.old = c.cluster""")
    made.execute('UPDATE customers SET cluster = m."into" FROM merges AS m WHERE m.old = customers.cluster')
    made.execute(f"""
        CREATE TABLE consents AS
        SELECT 'c-' || CAST(floor({chance(9)} * {people}) AS BIGINT) AS customer_id, 'sms' AS channel, '*' AS purpose,
            i % 5 = 0 AS allowed, {moment.format(chance(10))} AS at, 'reply' AS source
        FROM range({recipients // 20}) AS t(i)""")
    return made


ACCOUNTS = """
    WITH firsts AS (
        SELECT r.outreach_id AS outreach, o.reason_code, coalesce(m."into", r.cluster) AS account,
            min(r.t0) AS t0, arg_min(r.arm, (r.t0, r.id)) AS arm, arg_min(r.share, (r.t0, r.id)) AS share,
            arg_min(r.window_end, (r.t0, r.id)) AS window_end, count(DISTINCT r.arm) > 1 AS crossed
        FROM recipients AS r JOIN outreaches AS o ON o.id = r.outreach_id LEFT JOIN merges AS m ON m.old = r.cluster
        GROUP BY ALL),
    units AS (
        SELECT row_number() OVER () AS n, *, greatest(t0, max(window_end) OVER (
            PARTITION BY account, reason_code ORDER BY t0, outreach ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) AS free
        FROM firsts),
    touched AS (
        SELECT u.n, u.outreach, c.reason_code, c.reason_code = u.reason_code AS about, c.occurred_at >= u.t0 AS after,
            c.handle_seconds, CASE WHEN c.reason_code = u.reason_code AND c.occurred_at >= u.t0
                THEN epoch(date_trunc('second', c.resolved_at)) - epoch(date_trunc('second', c.occurred_at)) END AS took
        FROM units AS u JOIN contacts AS c ON c.cluster = u.account
            AND c.occurred_at >= u.t0 - (u.window_end - u.t0) AND c.occurred_at < u.window_end
        WHERE NOT (c.reason_code = u.reason_code AND c.occurred_at >= u.t0 AND c.occurred_at < u.free)),
    usual AS (SELECT outreach, reason_code, round(avg(handle_seconds)) AS long FROM touched GROUP BY ALL),
    own AS (
        SELECT n, count(*) FILTER (about AND after) AS about, count(*) FILTER (about AND NOT after) AS about_before,
            count(*) FILTER (after) AS "any", count(*) FILTER (NOT after) AS any_before,
            sum(coalesce(handle_seconds, long, 0)) FILTER (after) AS long,
            sum(coalesce(handle_seconds, long, 0)) FILTER (NOT after) AS long_before,
            count(*) FILTER (after AND handle_seconds IS NULL) AS untimed, count(took) AS resolved,
            sum(took) AS resolution, sum(took * took) AS resolution_squared
        FROM touched LEFT JOIN usual USING (outreach, reason_code) GROUP BY n),
    gone AS (
        SELECT DISTINCT u.n FROM units AS u JOIN customers AS k ON k.cluster = u.account
            JOIN consents AS s ON s.customer_id = k.id AND NOT s.allowed AND s.at >= u.t0 AND s.at < u.window_end)
    SELECT u.outreach, u.account, u.arm, u.share, u.t0, u.window_end, u.crossed, gone.n IS NOT NULL AS opted_out,
        coalesce(about, 0) AS about, coalesce(about_before, 0) AS about_before, coalesce("any", 0) AS "any",
        coalesce(any_before, 0) AS any_before, coalesce(long, 0) AS long, coalesce(long_before, 0) AS long_before,
        coalesce(untimed, 0) AS untimed, coalesce(resolved, 0) AS resolved, coalesce(resolution, 0) AS resolution,
        coalesce(resolution_squared, 0) AS resolution_squared
    FROM units AS u LEFT JOIN own USING (n) LEFT JOIN gone USING (n)"""
"""What every account did in its window: written apart from our own query, and by its words alone."""

_PAIRS = (("contacts", "about"), ("all_contacts", '"any"'), ("seconds", "long"))
_SUMS = ", ".join(
    f"sum({y}) AS {name}_y, sum({y} * {y}) AS {name}_yy, sum({x}) AS {name}_x, sum({x} * {x}) AS {name}_xx,"
    f" sum({y} * {x}) AS {name}_xy"
    for name, y in _PAIRS
    for x in [y.strip('"') + "_before"]
)
FIGURES = f"""
    SELECT outreach, arm, share, count(*) AS clusters, count(*) FILTER (about > 0) AS contacted,
        count(*) FILTER ("any" > about) AS elsewhere, count(*) FILTER ("any" > 0) AS anyhow,
        count(*) FILTER (about > 1) AS repeated, count(*) FILTER (opted_out) AS opted_out,
        count(*) FILTER (crossed) AS crossed, sum(untimed) AS untimed, sum(resolved) AS resolved,
        sum(resolution) AS resolution_y, sum(resolution_squared) AS resolution_yy, {_SUMS}
    FROM ({ACCOUNTS}) GROUP BY ALL ORDER BY outreach, arm, share"""


def rows(made: duckdb.DuckDBPyConnection, query: str, *given: Any) -> list[dict[str, Any]]:
    """Returns what a query finds, by column."""
    found = made.execute(query, list(given))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
