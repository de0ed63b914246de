from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from service.store import Store


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def address(request) -> Iterator[str | None]:
    """Where to keep things: the data folder, or a new schema of a PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    url = request.getfixturevalue("database_url")
    name = f"test_{uuid4().hex}"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


@pytest.fixture
def store(tmp_path, address) -> Iterator[Store]:
    store = Store(tmp_path / "data", address)
    yield store
    store.close()
