"""Inserting what is not there yet: the count decides who holds a page, so it is true on both databases."""

from sqlmodel import select

from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import ContactPointRow, ContactRow, CustomerRow, WatermarkRow
from tests.store.make import DAY, NOON


def test_count_is_of_the_new_rows(database: Database) -> None:
    with database.write() as session:
        assert insert_new(session, WatermarkRow, []) == 0
        assert insert_new(session, WatermarkRow, [{"source": "a", "at": NOON}]) == 1
        assert insert_new(session, WatermarkRow, [{"source": "a", "at": NOON + DAY}]) == 0
        both = [{"source": "a", "at": NOON + DAY}, {"source": "b", "at": NOON}]
        assert insert_new(session, WatermarkRow, both) == 1
    with database.read() as session:
        assert {row.source: row.at for row in session.exec(select(WatermarkRow))} == {"a": NOON, "b": NOON}


def test_count_is_true_of_many_rows_and_with_a_key_of_the_database(database: Database) -> None:
    def contact(number: int) -> dict[str, object]:
        of, at = {"source": "desk", "cluster": "c-1", "version": 1}, {"occurred_at": NOON, "imported_at": NOON}
        return {"id": str(number), "customer_id": "c-1", "reason_code": "x", "channel": "", **of, **at}

    with database.write() as session:
        assert insert_new(session, ContactRow, [contact(n) for n in range(4_000)]) == 4_000
        assert insert_new(session, ContactRow, [contact(n) for n in range(2_000, 6_000)]) == 2_000
        insert_new(session, CustomerRow, [{"id": "c-1", "cluster": "c-1", "created_at": NOON}])
        point = {"customer_id": "c-1", "channel": "sms", "address": "a"}
        assert [insert_new(session, ContactPointRow, [point]) for _ in range(2)] == [1, 0]
