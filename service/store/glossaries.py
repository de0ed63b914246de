"""Glossaries as they are kept: a name, and entries for each pair of languages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from service.store.database import Store
from service.store.schema import Instant, metadata

GLOSSARIES = Table(
    "glossaries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(16), nullable=False),
    Column("name", String(1024), nullable=False),
    Column("created", Instant, nullable=False),
    Index("ix_glossaries_owner", "owner"),
)
DICTIONARIES = Table(
    "dictionaries",
    metadata,
    Column("glossary_id", ForeignKey("glossaries.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(35), primary_key=True),
    Column("target", String(35), primary_key=True),
    Column("num_entries", Integer, nullable=False),
    # Always read and written whole, so they need no rows of their own.
    Column("entries", JSON, nullable=False),
)


@dataclass(frozen=True, slots=True)
class DictionaryRecord:
    """The entries of a glossary for one pair of languages, in a form that JSON has."""

    source: str
    target: str
    entries: list[Any]


@dataclass(frozen=True, slots=True)
class GlossaryRecord:
    """A glossary without its entries."""

    id: str
    owner: str
    name: str
    created: datetime
    num_entries: dict[tuple[str, str], int]
    """By pair of languages, in their order."""


Change = Callable[[str, list[DictionaryRecord]], tuple[str, Sequence[DictionaryRecord]]]
"""Takes the name and the dictionaries of a glossary and returns what they shall be."""


class GlossaryTable:
    """The tables of glossaries. Glossaries of other owners are as if they did not exist."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        glossary: GlossaryRecord,
        dictionaries: Sequence[DictionaryRecord],
        max_glossaries: int,
    ) -> bool:
        """Keep a new glossary, unless its owner has so many already; tell whether it was."""
        owner = glossary.owner
        counting = select(func.count()).select_from(GLOSSARIES).where(GLOSSARIES.c.owner == owner)
        row = {key: getattr(glossary, key) for key in ("id", "owner", "name", "created")}
        with self._store.writing() as connection:
            if connection.execute(counting).scalar_one() >= max_glossaries:
                return False
            connection.execute(insert(GLOSSARIES).values(row))
            _write_dictionaries(connection, glossary.id, dictionaries)
        return True

    def read_all(self, owner: str) -> list[GlossaryRecord]:
        """Return all glossaries of somebody, the newest first."""
        with self._store.reading() as connection:
            return _read(connection, _asked(owner))

    def read(self, owner: str, id: str) -> GlossaryRecord | None:
        """Return a glossary, if there is one."""
        with self._store.reading() as connection:
            return _read_one(connection, owner, id)

    def read_dictionaries(self, owner: str, id: str) -> list[DictionaryRecord] | None:
        """Return the dictionaries of a glossary with their entries, if there is one."""
        with self._store.reading() as connection:
            is_there = _read_one(connection, owner, id)
            return _read_dictionaries(connection, id) if is_there else None

    def change(self, owner: str, id: str, change: Change) -> GlossaryRecord | None:
        """Change a glossary, if there is one, while nobody else does, and return it."""
        mine = and_(GLOSSARIES.c.id == id, GLOSSARIES.c.owner == owner)
        with self._store.writing() as connection:
            name = connection.execute(
                select(GLOSSARIES.c.name).where(mine).with_for_update()
            ).scalar_one_or_none()
            if name is None:
                return None
            name, dictionaries = change(name, _read_dictionaries(connection, id))
            connection.execute(update(GLOSSARIES).where(mine).values(name=name))
            connection.execute(delete(DICTIONARIES).where(DICTIONARIES.c.glossary_id == id))
            _write_dictionaries(connection, id, dictionaries)
            return _read_one(connection, owner, id)

    def delete(self, owner: str, id: str) -> bool:
        """Forget a glossary; tell whether there was one."""
        mine = and_(GLOSSARIES.c.id == id, GLOSSARIES.c.owner == owner)
        with self._store.writing() as connection:
            return connection.execute(delete(GLOSSARIES).where(mine)).rowcount == 1


def _read_one(connection: Connection, owner: str, id: str) -> GlossaryRecord | None:
    found = _read(connection, _asked(owner).where(GLOSSARIES.c.id == id))
    return found[0] if found else None


def _read(connection: Connection, asked: Select[Any]) -> list[GlossaryRecord]:
    found: dict[str, GlossaryRecord] = {}
    for row in connection.execute(asked).mappings():
        record = GlossaryRecord(row["id"], row["owner"], row["name"], row["created"], {})
        record = found.setdefault(record.id, record)
        if row["source"] is not None:
            record.num_entries[row["source"], row["target"]] = row["num_entries"]
    return list(found.values())


def _read_dictionaries(connection: Connection, id: str) -> list[DictionaryRecord]:
    columns = DICTIONARIES.c.source, DICTIONARIES.c.target, DICTIONARIES.c.entries
    asked = select(*columns).where(DICTIONARIES.c.glossary_id == id).order_by(*columns[:2])
    return [DictionaryRecord(*row) for row in connection.execute(asked)]


def _write_dictionaries(
    connection: Connection, id: str, dictionaries: Sequence[DictionaryRecord]
) -> None:
    if dictionaries:
        connection.execute(insert(DICTIONARIES), [_row(id, each) for each in dictionaries])


def _asked(owner: str) -> Select[Any]:
    columns = DICTIONARIES.c.source, DICTIONARIES.c.target, DICTIONARIES.c.num_entries
    order = GLOSSARIES.c.created.desc(), GLOSSARIES.c.id, *columns[:2]
    tables = GLOSSARIES.outerjoin(DICTIONARIES, DICTIONARIES.c.glossary_id == GLOSSARIES.c.id)
    asked = select(GLOSSARIES, *columns).select_from(tables)
    return asked.where(GLOSSARIES.c.owner == owner).order_by(*order)


def _row(id: str, dictionary: DictionaryRecord) -> dict[str, Any]:
    return {
        "glossary_id": id,
        "source": dictionary.source,
        "target": dictionary.target,
        "num_entries": len(dictionary.entries),
        "entries": dictionary.entries,
    }
