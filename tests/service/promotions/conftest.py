from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text


@pytest.fixture
def postgres_schema(database_url) -> Iterator[str]:
    """A new schema of a PostgreSQL database."""
    name = f"test_{uuid4().hex}"
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield f"{database_url}{'&' if '?' in database_url else '?'}options=-csearch_path%3D{name}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()
