"""Recipes that are written are recipes that are read."""

import pytest

from training.recipe_text import Heading, explain, write_recipe
from training.run import parse_recipe
from training.sizes import Pace, Volume, choose_duration, list_shapes
from training.text_recipe import CleaningRecipe

CLEANING = CleaningRecipe(max_words=80, max_ratio=3.4, min_ratio_characters=30)


def write(words, *, both=False, origin="memory.tmx", minutes=60.0, dev=500):
    volume = Volume(words // 8, words, 20, 1 + both)
    pace = Pace(0.1, max(1, words // 1000), words, 0.0, 0.001)
    duration = choose_duration(volume, pace, minutes, dev)
    heading = Heading("mine", 2, "en", "pt-BR", both, origin)
    shape = list_shapes(volume)[0]
    toml = write_recipe(heading, volume, shape, duration, CLEANING, (dev, dev))
    return parse_recipe(toml, "test"), toml, explain(volume, shape, duration)


@pytest.mark.parametrize("words", [300, 40_000, 500_000, 3_000_000, 50_000_000])
@pytest.mark.parametrize("minutes", [0.1, 60.0])
def test_recipe_for_any_text_and_time_is_valid(words, minutes):
    recipe, _, _ = write(words, minutes=minutes)

    training = recipe.training
    assert training.warmup_steps + training.decay_steps <= training.max_steps
    assert training.validate_steps <= training.max_steps
    assert (recipe.name, recipe.version) == ("mine", 2)


def test_directions_are_those_that_were_asked_for():
    assert write(40_000)[0].corpus.directions == (("en", "pt-BR"),)
    assert write(40_000, both=True)[0].corpus.directions == (("en", "pt-BR"), ("pt-BR", "en"))


@pytest.mark.parametrize("origin", ['my "best" memory.tmx', "C:\\new\\t.tsv", "Übersetzungen.tmx"])
def test_any_file_name_survives(origin):
    recipe, _, _ = write(40_000, origin=origin)

    assert recipe.corpus.train[0].name == origin


def test_reasons_stand_at_the_head():
    _, toml, reasons = write(40_000, minutes=1.0)

    assert all(f"# {reason}\n" in toml for reason in reasons)
    assert "under 0.2 million words (Sennrich & Zhang 2019)" in reasons[0]


def test_cleaning_is_that_of_the_text():
    assert write(40_000)[0].corpus.cleaning == CLEANING


def test_shortlists_are_for_large_vocabularies():
    assert write(900_000)[0].export.shortlist is None
    assert write(2_000_000)[0].export.shortlist is not None


def test_small_dev_allows_for_more_chance():
    assert write(40_000, dev=1000)[0].export.max_bleu_loss == pytest.approx(0.3)
    assert write(40_000, dev=100)[0].export.max_bleu_loss == pytest.approx(3.0)
