"""Promotions as they are kept: which version of a model was to serve, from when on, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Column, Integer, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from service.store.database import Store
from service.store.schema import Instant, metadata

PROMOTIONS = Table(
    "promotions",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", String(20), nullable=False),
    Column("previous", String(20)),
    Column("action", String(16), nullable=False),
    Column("evaluation", String(36)),
    Column("instant", Instant, nullable=False),
)

Action = Literal["adopted", "promoted", "pinned", "released", "rolled_back"]


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """A version that was made to serve.

    Attributes:
        number: counts the promotions of a name, from 1.
        previous: the version that served before, if one did.
        action: `adopted` when there was no other, `promoted` after an evaluation, `pinned` though
            there is a newer one, `released` to whatever is the newest, or `rolled_back`.
        evaluation: the job that measured it, if there was one.
    """

    name: str
    number: int
    version: str
    previous: str | None
    action: Action
    evaluation: str | None
    instant: datetime


class PromotionTable:
    """The table of promotions, to which rows are added and which loses none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def may_have_rows(self) -> bool:
        """Whether there is something to read; if not, nothing need be opened."""
        return self._store.exists

    def read_all(self) -> list[PromotionRecord]:
        """Return all promotions, by name, the oldest first."""
        asked = select(PROMOTIONS).order_by(PROMOTIONS.c.name, PROMOTIONS.c.number)
        with self._store.reading() as connection:
            return [PromotionRecord(**row) for row in connection.execute(asked).mappings()]

    def add(self, records: Sequence[PromotionRecord]) -> bool:
        """Keep promotions, unless another took the number of one; tell whether all were kept."""
        if not records:
            return True
        with self._store.writing() as connection:
            # Both speak the same words, but SQLAlchemy has them once for each.
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            adding = dialect.insert(PROMOTIONS).on_conflict_do_nothing()
            adding = adding.returning(PROMOTIONS.c.number)
            kept = [connection.execute(adding, asdict(each)).first() for each in records]
        return None not in kept
