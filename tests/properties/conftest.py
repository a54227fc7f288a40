"""The databases of the store's tests."""

from tests.store.conftest import database, migrated_postgresql, migrated_sqlite, one_postgresql, postgresql_server

__all__ = ["database", "migrated_postgresql", "migrated_sqlite", "one_postgresql", "postgresql_server"]
