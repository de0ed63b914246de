"""The database: a SQLite file in the data folder, or PostgreSQL by its URL.

Nothing is opened before it is needed, so a service that keeps nothing runs on a disk that
it cannot write to. The calls block: asynchronous code makes them in a thread.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

FILE = "dragoman.sqlite3"
BUSY_SECONDS = 10
"""How long to wait for another process that writes; what is written here takes milliseconds."""
CONNECT_SECONDS, LOST_SECONDS = 5, 10
"""How long to wait for PostgreSQL to answer a new connection, and one that is in use."""
MIGRATION_LOCK = 0x647261676F6D616E  # "dragoman"
"""PostgreSQL's advisory lock under which one process alone migrates."""


class Store:
    """A database that is opened, and brought to the present state, when it is first used."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self._folder = folder
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether something may have been kept already."""
        try:
            return bool(self._url) or (self._folder / FILE).exists()
        except PermissionError:  # of the folder: opening it will say so
            return True

    def open(self) -> None:
        """Make the database ready; the first use does it too.

        Raises:
            OSError: it cannot be opened; the message names the place and the reason.
        """
        with self._opening:
            if self._engine is None:
                self._engine = _open(_postgres(self._url) if self._url else self._sqlite())

    def _sqlite(self) -> Engine:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / FILE
        path.open("ab").close()  # SQLite itself would not say which file, nor why
        return _sqlite(path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for one transaction that changes nothing.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection for one transaction; it is undone if the block raises.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            self.open()
            assert self._engine is not None
            with self._engine.execution_options(writes=writes).begin() as connection:
                yield connection
        except (OSError, SQLAlchemyError) as failure:
            # Its text may hold parameters of the statement, which are callers' own.
            reason = str(failure) if isinstance(failure, OSError) else _reason(failure)
            log.error("store failed", extra={"reason": reason})  # noqa: TRY400
            raise StoreUnavailable("what is kept cannot be read or written now") from failure

    def close(self) -> None:
        """Give back the connections; what comes later opens it anew."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None


def with_timeouts(address: str) -> str:
    """Return the URL of a PostgreSQL database that fails, rather than hangs, where nobody answers.

    What the URL says of it itself stays.
    """
    url = make_url(address)
    timeouts = {
        "connect_timeout": str(CONNECT_SECONDS),
        "tcp_user_timeout": str(1000 * LOST_SECONDS),  # milliseconds; where the system has it
    }
    return url.set(query={**timeouts, **url.query}).render_as_string(hide_password=False)


def _open(engine: Engine) -> Engine:
    with ExitStack() as unless_ready:
        unless_ready.callback(engine.dispose)
        try:
            with engine.execution_options(writes=True).begin() as connection:
                _migrate(connection)
        except SQLAlchemyError as failure:
            place = engine.url.render_as_string(hide_password=True)
            raise OSError(f"{place}: {_reason(failure)}") from failure
        unless_ready.pop_all()
    return engine


def _reason(failure: SQLAlchemyError) -> str:
    origin = getattr(failure, "orig", None)
    return f"{type(origin or failure).__name__}: {origin or failure.args[0]}".splitlines()[0]


def _sqlite(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # BEGIN is said below
        for pragma in (
            "journal_mode = WAL",  # readers and the one writer do not wait for each other
            "synchronous = FULL",  # what was answered outlives a power cut
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader that became a writer would fail at once where another has written meanwhile.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(address: str) -> Engine:
    try:
        url = make_url(address)
    except ArgumentError:
        raise OSError("the database is not named by a URL such as postgresql://host/name") from None
    if url.get_backend_name() != "postgresql":
        raise OSError(f"{url.drivername} is not supported as a database; postgresql is")
    try:
        url = make_url(with_timeouts(address)).set(drivername="postgresql+psycopg")
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise OSError("PostgreSQL needs the extra: pip install 'dragoman[postgres]'") from None


def _migrate(connection: Connection) -> None:
    from service.store.migrate import upgrade  # noqa: PLC0415  # Alembic: slow to load

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    upgrade(connection)
