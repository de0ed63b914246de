import json

import pytest
from typer.testing import CliRunner

from service.cli import dragoman


@pytest.fixture
def keys(tmp_path):
    """Run `dragoman keys ...` in a data folder of its own."""

    def run(*words: str):
        env = {
            "DRAGOMAN_DATA": str(tmp_path / "data"),
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        return CliRunner().invoke(dragoman, ["keys", *words], env=env)

    return run


def listed(keys) -> list[dict]:
    return json.loads(keys("list", "--json").stdout)


def test_key_alone_goes_to_stdout(keys):
    done = keys("add", "Weblate")

    [line] = done.stdout.splitlines()
    assert line.startswith("dgm_")
    assert line not in done.stderr
    assert line.split("_")[1] in done.stderr


def test_key_is_shown_once(keys):
    secret = keys("add", "Weblate").stdout.strip().split("_")[2]

    assert secret not in keys("list").output + keys("list", "--json").output


def test_key_is_as_it_was_asked_for(keys):
    limits = {"requests_per_minute": 1, "characters_per_minute": 2, "characters_per_month": 3}
    options = [word for n, v in limits.items() for word in (f"--{n.replace('_', '-')}", str(v))]
    keys("add", "Weblate", "--scope", "evaluate", "--expires", "2100-01-31", *options)

    [key] = listed(keys)

    assert {name: key[name] for name in limits} == limits
    assert (key["name"], key["state"], key["scopes"]) == ("Weblate", "good", ["evaluate"])
    assert key["expires"] == "2100-01-31T00:00:00+00:00"
    assert (key["characters"], key["requests"], key["last_used"]) == (0, 0, None)


def test_key_is_for_texts_documents_and_glossaries_without_a_word(keys):
    keys("add", "Weblate")

    assert listed(keys)[0]["scopes"] == ["documents", "glossaries", "translate"]


def test_json_of_a_new_key_holds_it(keys):
    made = json.loads(keys("add", "Weblate", "--json").stdout)

    assert made.pop("key").split("_")[1] == made["id"]
    assert [made] == listed(keys)


def test_revoked_key_is_listed_as_such(keys):
    id = keys("add", "Weblate").stdout.split("_")[1]

    assert keys("revoke", id).exit_code == 0
    assert [(key["id"], key["state"]) for key in listed(keys)] == [(id, "revoked")]


def test_unknown_key_cannot_be_revoked(keys):
    done = keys("revoke", "nobody")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "nobody: no such key" in done.stderr


def test_table_names_each_key(keys):
    for name in ("Weblate", "Mastodon"):
        keys("add", name)

    table = keys("list").stdout
    assert "Weblate" in table
    assert "Mastodon" in table


def test_no_keys_are_told_on_stderr(keys):
    done = keys("list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "no keys" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--expires", "soon"], "soon is neither days"),
        (["--expires", "0d"], "0d is not in the future"),
        (["--expires", "2000-01-01"], "2000-01-01 is not in the future"),
        (["--expires", f"{10**12}d"], "is neither days"),
        (["--scope", "all"], "all is none of translate, documents"),
        (["--characters-per-month", "0"], "--characters-per-month"),
    ],
)
def test_wrong_wish_is_named(keys, words, said):
    done = keys("add", "Weblate", *words)

    assert (done.exit_code, done.stdout, said in done.stderr) == (2, "", True)


@pytest.mark.parametrize("name", ["", "a" * 201, "two\nlines"])
def test_name_is_one_line_of_text(keys, name):
    assert keys("add", name).exit_code == 2


def test_data_folder_that_cannot_be_written_is_named(keys, tmp_path):
    (tmp_path / "data").touch()

    done = keys("list")

    assert done.exit_code == 1
    assert "data: " in done.stderr.replace("\n", "")
