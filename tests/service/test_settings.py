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
