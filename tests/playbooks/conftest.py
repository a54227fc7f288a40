from tests.postgres import postgresql_server

__all__ = ["postgresql_server"]
