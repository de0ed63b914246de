"""What is written is read back as what was meant."""

import tomllib
from pathlib import Path

import pytest

import training
from training.run import parse_recipe
from training.variation import vary

RECIPES = [
    path
    for path in sorted((Path(training.__file__).parent / "recipes").glob("*.toml"))
    if not path.name.startswith("ablation-")
]
TOML = """
name = "toy"  # says "toy"
version = 1

[corpus]
directions = [["de", "en"]]
cleaning = { max_words = 80, max_ratio = 3.5 }

[[corpus.train]]
name = 'a "quoted" name, with \\'
licence = "Grüße"

[[corpus.train]]
name = "other"

[training]
learning_rate = 1e-5
clip_norm = 1.0
is_so = true
"""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_that_is_not_changed_says_the_same(path):
    toml = path.read_text(encoding="utf-8")

    assert parse_recipe(vary(toml, {}), "varied") == parse_recipe(toml, "shipped")


def test_every_kind_of_value_survives():
    assert tomllib.loads(vary(TOML, {})) == tomllib.loads(TOML)


def test_values_are_changed_and_added_where_they_belong():
    changes = {
        "version": 2,
        "corpus": {"cleaning": {"max_words": 9}, "joined": 0.5},
        "export": {"publish": False},
    }

    varied = tomllib.loads(vary(TOML, changes))

    expected = tomllib.loads(TOML)
    expected["version"] = 2
    expected["corpus"]["cleaning"]["max_words"] = 9
    expected["corpus"]["joined"] = 0.5
    expected["export"] = {"publish": False}
    assert varied == expected


def test_keys_can_be_left_out():
    varied = tomllib.loads(vary(TOML, {}, ["training.clip_norm", "corpus.cleaning.max_ratio"]))

    assert varied["training"].keys() == {"learning_rate", "is_so"}
    assert varied["corpus"]["cleaning"] == {"max_words": 80}


@pytest.mark.parametrize("key", ["training.clip_value", "export.beams", "speed"])
def test_key_that_is_not_there_cannot_be_left_out(key):
    with pytest.raises(ValueError, match=f"without {key}: the recipe has no such key"):
        vary(TOML, {}, [key])
