"""Runs migrations on the engine that `migrate` was given."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import func, select
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import tellfirst.store.tables
import tellfirst.store.tables_account_events
import tellfirst.store.tables_alternates
import tellfirst.store.tables_arrivals
import tellfirst.store.tables_assignments
import tellfirst.store.tables_audit
import tellfirst.store.tables_call_tasks
import tellfirst.store.tables_contacts
import tellfirst.store.tables_escalations
import tellfirst.store.tables_exceptions
import tellfirst.store.tables_feed
import tellfirst.store.tables_harm
import tellfirst.store.tables_inbox
import tellfirst.store.tables_permits
import tellfirst.store.tables_preferences
import tellfirst.store.tables_rates
import tellfirst.store.tables_replies
import tellfirst.store.tables_retention
import tellfirst.store.tables_surveys  # noqa: F401 - fill the metadata
from tellfirst.store.engine import Instant


def render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Returns a column type in plain SQLAlchemy, so that a migration means the same whatever our classes become."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


engine = context.config.attributes["engine"].execution_options(writes=True)
# One transaction around all: two processes that start together migrate in turn, and a failure leaves nothing half.
with engine.begin() as connection:
    if engine.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("tellfirst migrations", 0))))
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True, render_item=render
    )
    with context.begin_transaction():
        context.run_migrations()
