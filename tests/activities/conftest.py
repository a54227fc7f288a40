"""Activities on databases of their own: the same two engines as the store's."""

from tests.store.conftest import database, migrated_postgresql, migrated_sqlite, one_postgresql, postgresql_server

__all__ = ["database", "migrated_postgresql", "migrated_sqlite", "one_postgresql", "postgresql_server"]
