"""Alembic, from the program: the same migrations on every database, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Bring the database to the present state, all or nothing.

    Raises:
        OSError: a newer program has written it.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as failure:
        raise OSError(f"the database was made by a newer version of Dragoman: {failure}") from None
