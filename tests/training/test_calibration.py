"""Calibration against models that are known, and through the engine with a bundle that works."""

import math

import numpy as np
import pytest

from models.bundle import Direction
from service.engine import TranslationOptions, open_translator
from training.calibration import (
    MIN_SENTENCES,
    Observations,
    calibrate,
    calibration_error,
    fit,
    observe,
)
from training.corpus import HeldOut
from training.measurements import Search

TEXT = HeldOut("toy dev", "de", "en", [], [])
SEARCH = Search(1, 1.0)
WORDS = ["Hund", "Katze", "Haus", "Morgen", "klein", "schön", "ich", "sehe", "zwei", "und"]


def draw(count, bias, of_probability, of_length, seed=1):
    """Draw sentences whose chance of being good is known."""
    random = np.random.default_rng(seed)
    probability, log_length = random.random(count), np.log(random.integers(2, 30, count))
    logits = bias + of_probability * probability + of_length * log_length
    is_good = random.random(count) < 1 / (1 + np.exp(-logits))
    return Observations(probability, log_length, is_good.astype(float))


def lines(count):
    random = np.random.default_rng(3)
    return [" ".join(random.choice(WORDS, size)) for size in random.integers(1, 9, count)]


def ignore(done):
    pass


def test_fit_finds_the_model_that_the_sentences_were_drawn_from():
    found = fit(draw(40_000, -4, 6, 0.5), draw(40_000, -4, 6, 0.5, seed=2), TEXT, "int8")

    weights = found.bias, found.probability_weight, found.length_weight
    assert weights == pytest.approx((-4, 6, 0.5), abs=0.15)
    assert found.calibration_error < 0.02
    assert found.brier < found.brier_of_share
    assert (found.sentences, found.held_out_sentences) == (40_000, 40_000)


def test_confidence_is_the_logistic_function_of_what_the_search_says():
    found = fit(draw(1000, -4, 6, 0.5), draw(1000, -4, 6, 0.5), TEXT, "int8")

    logit = found.bias + found.probability_weight * 0.5 + found.length_weight * math.log(4)
    assert found.confidence(4 * math.log(0.5), 4) == pytest.approx(1 / (1 + math.exp(-logit)))
    assert found.confidence(-1.0, 4) > found.confidence(-4.0, 4)


def test_sentences_that_can_be_told_apart_without_error_give_finite_weights():
    seen = Observations(np.linspace(0, 1, 200), np.ones(200), np.repeat([0.0, 1.0], 100))

    found = fit(seen, seen, TEXT, "int8")

    assert found.brier < 0.05
    assert found.confidence(-1000.0, 1) < 0.1 < 0.9 < found.confidence(0.0, 1)


def test_calibration_error_is_the_mean_gap_between_confidence_and_share():
    confidence = np.repeat(np.arange(10) / 10, 10)
    is_good = (np.tile(np.arange(10), 10) < np.repeat(np.arange(10), 10)).astype(float)

    assert calibration_error(confidence, is_good) == pytest.approx(0)
    assert calibration_error(confidence + 0.05, is_good) == pytest.approx(0.05)


def test_what_is_observed_is_what_the_engine_says(tiny_bundle):
    sources = ["Guten Morgen.", "Guten Morgen. Ich sehe zwei Katzen.", "Das Haus ist klein."]
    translator = open_translator(tiny_bundle.path, ("de", "en"))
    one, _, other = translator.translate_all(sources, TranslationOptions(beam=1))
    translator.close()
    text = HeldOut("dev", "de", "en", sources, [one.text, "both", "?"])

    observed = observe(tiny_bundle.path, "fp32", text, SEARCH, ignore)

    # The line of two sentences is left out.
    assert observed.is_good.tolist() == [1, 0]
    [first], [second] = one.sentences, other.sentences
    assert np.exp(observed.log_length) == pytest.approx([first.num_tokens, second.num_tokens])
    mean = [each.log_probability / each.num_tokens for each in (first, second)]
    assert np.log(observed.probability) == pytest.approx(mean)
    # The length penalty of the search is 1.
    norm = (5 + first.num_tokens) / 6
    assert first.score == pytest.approx(first.log_probability / norm)


def test_direction_is_calibrated_if_its_dev_text_is_large_enough_and_tells(tiny_bundle):
    sources = lines(4 * MIN_SENTENCES)
    translator = open_translator(tiny_bundle.path, ("de", "en"))
    translations = list(translator.translate_all(sources, TranslationOptions(beam=1)))
    translator.close()
    trust = [
        each.sentences[0].log_probability / each.sentences[0].num_tokens for each in translations
    ]
    middle = sorted(trust)[len(trust) // 2]
    # What the model is sure of is right; the rest is wrong.
    right = [each.text if t > middle else "" for each, t in zip(translations, trust, strict=True)]
    told = HeldOut("dev", "de", "en", sources, right)
    wrong = HeldOut("dev", "en", "de", sources, ["?"] * len(sources))
    short = HeldOut("dev", "de", "en", sources[:20], right[:20])
    done = []

    found = calibrate(tiny_bundle.path, "fp32", [told, wrong, short], SEARCH, done.append)

    [only] = found
    assert only.direction == Direction(source="de", target="en")
    # No sentence is in both halves; those that are too long to be one are in none.
    assert only.sentences + only.held_out_sentences == sum(
        len(t.sentences) == 1 for t in translations
    )
    assert only.brier < 0.1
    assert only.share == pytest.approx(0.5, abs=0.1)
    assert sum(done) == 2 * len(sources) + 20
