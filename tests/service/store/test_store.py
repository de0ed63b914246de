import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

from service.errors import StoreUnavailable
from service.store import Store, migrate, with_timeouts
from service.store.schema import metadata

ROOT = Path(__file__).parents[3]
KEY = text(
    "INSERT INTO keys (id, name, digest, scopes, created)"
    " VALUES ('a', 'a', 'a', '', CURRENT_TIMESTAMP)"
)


def test_nothing_is_written_before_it_is_needed(tmp_path):
    Store(tmp_path / "data").close()

    assert list(tmp_path.iterdir()) == []


def test_folder_is_made_for_its_owner_alone(tmp_path):
    store = Store(tmp_path / "deep" / "data")
    store.open()
    store.close()

    assert stat.S_IMODE((tmp_path / "deep" / "data").stat().st_mode) == 0o700


def test_migrations_come_to_the_tables_of_the_program(store):
    with store.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == []


def test_migrations_are_one_chain():
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))

    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_what_was_written_is_read_by_another_store(store, tmp_path, address):
    with store.writing() as connection:
        connection.execute(KEY)
    other = Store(tmp_path / "data", address)
    with other.reading() as connection:
        count = connection.execute(text("SELECT count(*) FROM keys")).scalar_one()
    other.close()

    assert count == 1


def test_block_that_fails_leaves_nothing_behind(store):
    def fail():
        with store.writing() as connection:
            connection.execute(KEY)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM keys")).scalar_one() == 0


def test_what_is_read_and_then_changed_is_changed_by_one_at_a_time(tmp_path):
    store = Store(tmp_path)
    with store.writing() as connection:
        connection.execute(KEY)

    def add_a_letter(_):
        with store.writing() as connection:
            name = connection.execute(text("SELECT name FROM keys")).scalar_one()
            connection.execute(text("UPDATE keys SET name = :name"), {"name": f"{name}a"})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_a_letter, range(20)))

    with store.reading() as connection:
        assert connection.execute(text("SELECT name FROM keys")).scalar_one() == "a" * 21
    store.close()


def test_processes_that_start_together_migrate_once(tmp_path, address):
    code = f"""if True:
        from pathlib import Path
        from service.store import Store
        store = Store(Path({str(tmp_path / "data")!r}), {address!r})
        store.open()
        store.close()
        print("open")
    """
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(3)
    ]

    assert [process.communicate(timeout=60)[0] for process in started] == [b"open\n"] * 3


def test_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="Not a directory") as caught:
        Store(tmp_path / "file" / "data").open()

    assert caught.value.filename == str(tmp_path / "file" / "data")


def test_caller_is_not_told_where_the_store_is(tmp_path):
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "data")

    with pytest.raises(StoreUnavailable) as caught, store.reading():
        pass

    assert str(tmp_path) not in str(caught.value)


def test_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "dragoman.sqlite3").write_bytes(b"this is no database" * 100)

    with pytest.raises(OSError, match=r"dragoman\.sqlite3: .*not a database"):
        Store(tmp_path).open()


def test_database_of_a_newer_version_is_refused(store, tmp_path, address):
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(OSError, match="newer version of Dragoman"):
        Store(tmp_path / "data", address).open()


@pytest.mark.parametrize("url", ["no url: secret", "mysql://user:secret@host/name"])
def test_other_databases_are_refused_without_telling_the_password(tmp_path, url):
    with pytest.raises(OSError, match="postgresql") as caught:
        Store(tmp_path, url).open()

    assert "secret" not in str(caught.value)


def test_database_that_does_not_answer_is_named_without_its_password(tmp_path):
    with pytest.raises(
        OSError, match=r"postgresql\+psycopg://user:\*\*\*@127\.0\.0\.1:1"
    ) as caught:
        Store(tmp_path, "postgresql://user:secret@127.0.0.1:1/name").open()

    assert "secret" not in str(caught.value)


def test_database_that_takes_connections_and_says_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.database.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/name"
        begun = time.monotonic()
        with pytest.raises(OSError, match="timeout"):
            Store(tmp_path, url).open()

    assert time.monotonic() - begun < 30


def test_timeouts_that_a_url_states_stay():
    stated = make_url(with_timeouts("postgresql://user:p%40ss@host/name?connect_timeout=77"))

    assert dict(stated.query) == {"connect_timeout": "77", "tcp_user_timeout": "10000"}
    assert (stated.username, stated.password) == ("user", "p@ss")


def test_failed_statement_is_told_without_its_parameters(store, caplog):
    with pytest.raises(StoreUnavailable), store.writing() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:text)"), {"text": "private"})

    assert "nowhere" in str(caplog.records[-1].reason)
    assert "private" not in str(caplog.records[-1].__dict__)
