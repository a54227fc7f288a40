"""What became of accounts: told twice it counts once, corrected it is a new version, forgotten it is of nobody."""

from typing import Any

from sqlmodel import col, select

from tellfirst.store.account_events import AccountEvents, AccountNews, Taken
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure
from tellfirst.store.tables_account_events import AccountEventRow
from tests.store.make import DAY, NOON, customers


def news(account: str = "a-1", event: Any = "churned", value: int | None = 100) -> AccountNews:
    return AccountNews(account=account, event=event, at=NOON, value_minor=value)


def rows(database: Database) -> list[tuple[str, int, str, int | None, bool]]:
    with database.read() as session:
        query = select(AccountEventRow).order_by(col(AccountEventRow.account), col(AccountEventRow.version))
        return [(r.account, r.version, r.event, r.value_minor, r.replaced_at is None) for r in session.exec(query)]


def test_the_same_event_again_changes_nothing(database: Database) -> None:
    events = AccountEvents(database)
    assert events.save([news()], source="billing", now=NOON) == Taken(new=1)
    assert events.save([news(), news("a-2")], source="billing", now=NOON + DAY) == Taken(new=1, known=1)
    assert rows(database) == [("a-1", 1, "churned", 100, True), ("a-2", 1, "churned", 100, True)]


def test_a_correction_is_a_new_version_and_never_an_edit(database: Database) -> None:
    events = AccountEvents(database)
    events.save([news()], source="billing", now=NOON)
    assert events.save([news(event="contracted", value=40)], source="billing", now=NOON + DAY) == Taken(corrected=1)
    events.save([news(event="contracted", value=41)], source="billing", now=NOON + DAY)
    assert rows(database) == [
        ("a-1", 1, "churned", 100, False),
        ("a-1", 2, "contracted", 40, False),
        ("a-1", 3, "contracted", 41, True),
    ]


def test_two_sources_tell_of_one_account_apart(database: Database) -> None:
    for source in ("billing", "crm"):
        assert AccountEvents(database).save([news()], source=source, now=NOON) == Taken(new=1)
    assert len(rows(database)) == 2


def test_of_a_forgotten_customer_no_name_is_left(database: Database) -> None:
    customers(database, ["c-1"])
    AccountEvents(database).save([news("c-1"), news("home")], source="billing", now=NOON)
    Erasure(database).forget("c-1", "forgotten-1", by="eve", at=NOON)
    assert [account for account, *_ in rows(database)] == ["forgotten-1", "home"]
