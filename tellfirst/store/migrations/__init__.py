"""The migrations of our own database, applied in order by alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine


def config(engine: Engine | None = None) -> Config:
    """Returns alembic's configuration for these migrations."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["engine"] = engine
    return made


def migrate(engine: Engine) -> None:
    """Brings the database to the newest version; one that is there already stays as it is."""
    command.upgrade(config(engine), "head")
