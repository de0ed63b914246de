import json
import re

import pytest
from pydantic import ValidationError

from service.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("HOST", "PORT", "BUNDLES"):
        monkeypatch.delenv(f"DRAGOMAN_{name}", raising=False)


def test_environment_wins_over_the_default(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_ROWS", "7")

    assert Settings.load().max_rows == 7


def test_flag_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_ROWS", "7")

    assert Settings.load(max_rows=9).max_rows == 9


def test_flag_that_was_not_given_leaves_the_environment(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_ROWS", "7")

    assert Settings.load(max_rows=None).max_rows == 7


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DRAGOMAN_MAX_ROW", "; did you mean DRAGOMAN_MAX_ROWS?"),
        ("dragoman_prot", "; did you mean DRAGOMAN_PORT?"),
        ("DRAGOMAN_QWXZ", ""),
    ],
)
def test_unknown_name_is_refused_with_the_nearest(monkeypatch, name, meant):
    monkeypatch.setenv(name, "1")

    with pytest.raises(ValueError, match=r" is not a setting") as caught:
        Settings.load()

    assert str(caught.value).endswith(f"is not a setting{meant}")


def test_wrong_value_in_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_PORT", "many")

    with pytest.raises(ValueError, match=r"^DRAGOMAN_PORT: .*integer"):
        Settings.load()


def test_wrong_flag_is_named(monkeypatch):
    with pytest.raises(ValueError, match=r"^--max-rows: .*greater than or equal to 1"):
        Settings.load(max_rows=0)


def test_every_wrong_value_has_its_line(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_PORT", "-1")

    with pytest.raises(ValueError, match="\n") as caught:
        Settings.load(log_level="loud")

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "DRAGOMAN_PORT",
        "--log-level",
    ]


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_every_setting_is_described():
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]

    assert undescribed == []


def test_service_listens_on_this_machine_only_unless_told():
    assert (Settings().host, Settings().port) == ("127.0.0.1", 8000)


def test_secret_may_be_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("postgresql://host/name\n", encoding="utf-8")
    monkeypatch.setenv("DRAGOMAN_DATABASE_FILE", str(tmp_path / "url"))

    assert Settings.load().database.get_secret_value() == "postgresql://host/name"


def test_secret_that_is_given_twice_is_refused(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_DATABASE", "postgresql://host/name")
    monkeypatch.setenv("DRAGOMAN_DATABASE_FILE", "url")

    with pytest.raises(ValueError, match="DRAGOMAN_DATABASE and DRAGOMAN_DATABASE_FILE are both"):
        Settings.load()


def test_file_of_a_secret_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGOMAN_DATABASE_FILE", str(tmp_path / "none"))

    with pytest.raises(ValueError, match=r"^DRAGOMAN_DATABASE_FILE: .*none: No such file"):
        Settings.load()


@pytest.mark.parametrize("name", ["SERVER", "API_KEY", "API_KEY_FILE"])
def test_names_for_commands_that_ask_a_server_are_known(monkeypatch, name):
    monkeypatch.setenv(f"DRAGOMAN_{name}", "any")

    assert Settings.load() == Settings()


def test_only_secrets_may_be_in_files(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_PORT_FILE", "port")

    with pytest.raises(ValueError, match="DRAGOMAN_PORT_FILE is not a setting"):
        Settings.load()


def test_secret_is_not_shown(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_DATABASE", "postgresql://user:hidden@host/name")

    assert "hidden" not in repr(Settings.load())


def test_data_lies_in_the_state_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert Settings.load().data_folder == tmp_path / "dragoman"


def test_data_lies_where_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path))

    assert Settings.load().data_folder == tmp_path


@pytest.mark.parametrize("origins", ["", "*", "https://a.example", "http://a.example:1,https://b"])
def test_origins_are_those_of_browsers(origins):
    assert ",".join(Settings(cors_origins=origins).origins) == origins


@pytest.mark.parametrize(
    "origins", ["a.example", "https://a.example/", "https://a, https://b", ","]
)
def test_what_no_browser_sends_as_an_origin_is_refused(origins):
    with pytest.raises(ValueError, match="--cors-origins: String should match"):
        Settings.load(cors_origins=origins)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "dragoman.toml"
    monkeypatch.setenv("DRAGOMAN_CONFIG", str(path))
    return path


def test_flag_wins_over_the_environment_that_over_the_file_and_the_file_over_the_default(
    monkeypatch, file
):
    file.write_text("max_rows = 7\nport = 7\nmax_beam = 7\n", encoding="utf-8")
    monkeypatch.setenv("DRAGOMAN_PORT", "8")
    monkeypatch.setenv("DRAGOMAN_MAX_BEAM", "8")

    settings = Settings.load(max_beam=9)

    assert (settings.max_rows, settings.port, settings.max_beam) == (7, 8, 9)
    assert settings.workers == Settings().workers


def test_file_that_is_given_wins_over_the_one_of_the_environment(file, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text("max_rows = 9\n", encoding="utf-8")
    file.write_text("max_rows = 7\n", encoding="utf-8")

    assert Settings.load(other).max_rows == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_row = 1", "max_row is not a setting; did you mean max_rows?"),
        ("qwxz = 1", "qwxz is not a setting"),
        ("MAX_ROWS = 1", "MAX_ROWS is not a setting"),
        ("config = 'other.toml'", "config is not a setting"),
        ("[server]\nport = 1", "server is not a setting"),
        ("max_rows = 0", "max_rows: Input should be greater than or equal to 1"),
        ("max_rows = 'many'", "max_rows: Input should be a valid integer"),
        ("max_rows =", "is not TOML"),
        ("database = 'postgresql://host'", "database is a secret; let database_file name a file"),
        ("database_file = 'none'", "database_file: none: No such file or directory"),
        ("port_file = 'none'", "port_file is not a setting"),
    ],
)
def test_file_that_is_wrong_is_named_with_the_place(file, text, message):
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=re.escape(str(file))) as caught:
        Settings.load()

    assert str(caught.value).startswith(f"{file}: {message}")


def test_file_that_is_not_there_is_named(file):
    with pytest.raises(ValueError, match=r"dragoman.toml: No such file or directory$"):
        Settings.load()


def test_what_is_wrong_in_the_environment_is_not_blamed_on_the_file(monkeypatch, file):
    file.write_text("port = 7\n", encoding="utf-8")
    monkeypatch.setenv("DRAGOMAN_PORT", "many")

    with pytest.raises(ValueError, match=r"^DRAGOMAN_PORT: "):
        Settings.load()


def test_secret_may_be_in_a_file_that_the_file_names(monkeypatch, file, tmp_path):
    (tmp_path / "url").write_text("postgresql://host/name\n", encoding="utf-8")
    file.write_text(f"database_file = '{tmp_path / 'url'}'\n", encoding="utf-8")

    in_file = Settings.load().database_url
    monkeypatch.setenv("DRAGOMAN_DATABASE", "postgresql://other")

    assert (in_file, Settings.load().database_url) == (
        "postgresql://host/name",
        "postgresql://other",
    )


def test_every_setting_can_be_in_the_file(file, tmp_path):
    values = Settings(data=tmp_path, test_sets=tmp_path).model_dump(mode="json")
    secrets = [name for name, value in values.items() if value is None]
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
    file.write_text("\n".join(lines), encoding="utf-8")

    assert secrets == ["database"]
    assert Settings.load() == Settings(data=tmp_path, test_sets=tmp_path)
