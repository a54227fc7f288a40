"""The store's database, migrated, on SQLite and on a real PostgreSQL."""

from tests.store.conftest import database, migrated_postgresql, migrated_sqlite, one_postgresql, postgresql_server

__all__ = ["database", "migrated_postgresql", "migrated_sqlite", "one_postgresql", "postgresql_server"]
