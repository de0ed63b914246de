"""API keys and their use. What is kept of a key is the digest of its secret."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    String,
    Table,
    and_,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from service.store.database import Store
from service.store.schema import Instant, metadata

KEYS = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(200), nullable=False),
    Column("requests_per_minute", Integer),
    Column("characters_per_minute", Integer),
    Column("characters_per_month", BigInteger),
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("revoked", Instant),
    Column("last_used", Instant),
)
USAGE = Table(
    "usage",
    metadata,
    Column("key_id", String(16), ForeignKey("keys.id"), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("characters", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one caller may do; None means as much as he likes."""

    requests_per_minute: int | None = None
    characters_per_minute: int | None = None
    characters_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What was done for a caller."""

    characters: int = 0
    requests: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.characters + other.characters, self.requests + other.requests)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is kept."""

    id: str
    name: str
    digest: str
    scopes: frozenset[str]
    allowance: Allowance
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    this_month: Work = Work()

    def state(self, now: datetime) -> Literal["good", "revoked", "expired"]:
        """Tell whether it is good, and if not, why."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "good"


def month_of(now: datetime) -> str:
    """Return the calendar month in UTC, such as 2026-11."""
    return f"{now.astimezone(UTC):%Y-%m}"


class Keys:
    """The table of keys, and that of their use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, record: KeyRecord) -> None:
        """Keep a new key."""
        row = {
            "id": record.id,
            "name": record.name,
            "digest": record.digest,
            "scopes": " ".join(sorted(record.scopes)),
            "requests_per_minute": record.allowance.requests_per_minute,
            "characters_per_minute": record.allowance.characters_per_minute,
            "characters_per_month": record.allowance.characters_per_month,
            "created": record.created,
            "expires": record.expires,
        }
        with self._store.writing() as connection:
            connection.execute(insert(KEYS).values(row))

    def read_all(self, now: datetime) -> list[KeyRecord]:
        """Return all keys, the oldest first, with what each did in the month of `now`."""
        with self._store.reading() as connection:
            return _read_all(connection, now)

    def revoke(self, id: str, now: datetime) -> bool:
        """End a key for good; tell whether there was one that had not ended yet."""
        ending = update(KEYS).where(KEYS.c.id == id, KEYS.c.revoked.is_(None)).values(revoked=now)
        with self._store.writing() as connection:
            return connection.execute(ending).rowcount == 1

    def record(
        self, done: Mapping[tuple[str, str], Work], last_used: Mapping[str, datetime], now: datetime
    ) -> list[KeyRecord]:
        """Add what was done with each key in each month; return what `read_all` does then."""
        if not done and not last_used:
            return self.read_all(now)
        with self._store.writing() as connection:
            _add_usage(connection, done)
            for id, instant in last_used.items():
                connection.execute(update(KEYS).where(KEYS.c.id == id).values(last_used=instant))
            return _read_all(connection, now)


def _add_usage(connection: Connection, done: Mapping[tuple[str, str], Work]) -> None:
    # Both speak the same words, but SQLAlchemy has them once for each.
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    adding = dialect.insert(USAGE)
    adding = adding.on_conflict_do_update(
        index_elements=["key_id", "month"],
        set_={
            "characters": USAGE.c.characters + adding.excluded.characters,
            "requests": USAGE.c.requests + adding.excluded.requests,
        },
    )
    for (id, month), work in done.items():
        row = {"key_id": id, "month": month, **asdict(work)}
        connection.execute(adding, row)


def _read_all(connection: Connection, now: datetime) -> list[KeyRecord]:
    this_month = and_(USAGE.c.key_id == KEYS.c.id, USAGE.c.month == month_of(now))
    asked = select(KEYS, USAGE.c.characters, USAGE.c.requests)
    rows = connection.execute(
        asked.select_from(KEYS.outerjoin(USAGE, this_month)).order_by(KEYS.c.created, KEYS.c.id)
    )
    return _records(rows.mappings())


def _records(rows: Iterable[RowMapping]) -> list[KeyRecord]:
    return [
        KeyRecord(
            id=row["id"],
            name=row["name"],
            digest=row["digest"],
            scopes=frozenset(row["scopes"].split()),
            allowance=Allowance(
                row["requests_per_minute"],
                row["characters_per_minute"],
                row["characters_per_month"],
            ),
            created=row["created"],
            expires=row["expires"],
            revoked=row["revoked"],
            last_used=row["last_used"],
            this_month=Work(row["characters"] or 0, row["requests"] or 0),
        )
        for row in rows
    ]
