"""The migrations of our own database, applied in order by alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from tellfirst.errors import SettingsError, SourceError


def config(engine: Engine | None = None) -> Config:
    """Returns alembic's configuration for these migrations."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["engine"] = engine
    return made


def migrate(engine: Engine) -> None:
    """Brings the database to the newest version; one that is there already stays as it is."""
    command.upgrade(config(engine), "head")


def prepare(engine: Engine) -> None:
    """Makes sure that the database can be used: an embedded one is migrated, any other must be.

    Raises SourceError when it cannot be reached, SettingsError when it is not at this version.
    """
    where = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_heads()
        if present == tuple(ScriptDirectory.from_config(config()).get_heads()):
            return
        if engine.dialect.name == "sqlite":
            migrate(engine)
            return
    except DBAPIError as error:
        raise SourceError(
            f"the database cannot be used ({type(error.orig).__name__})",
            where=where,
            remedy="check TELLFIRST_DATABASE_URL and that the database runs",
        ) from None
    raise SettingsError(
        "the database is not at this version", where=where, remedy="run `python -m tellfirst.store migrate`"
    )
