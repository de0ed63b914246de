"""Many sentences through the engine: the same as one by one, and nothing is made twice."""

import json
from dataclasses import replace

import pytest

from service.engine import TranslationOptions, open_translator
from training.translations import Interpreter, translate_all

SENTENCES = ["Das Haus ist klein.", "Ich sehe zwei Katzen.", "Guten Morgen", "Hund", "Wie bitte?"]


class Stopped(Exception):
    """What a test raises in the middle."""


@pytest.fixture
def interpreter(tiny_bundle):
    return Interpreter(tiny_bundle.path, "tiny/1", "de", "en", beam=2, num_best=2)


def translate(interpreter, folder, sentences=SENTENCES):
    """Return the renderings and how many sentences were done at each report."""
    reports = []
    renderings = translate_all(interpreter, sentences, folder, reports.append, chunk_sentences=2)
    return renderings, reports


def test_renderings_are_what_the_engine_says_of_each_sentence(interpreter, tmp_path):
    renderings, reports = translate(interpreter, tmp_path / "out")

    translator = open_translator(interpreter.bundle, ("de", "en"))
    options = TranslationOptions(beam=2, alternatives=1)
    expected = list(translator.translate_all(SENTENCES, options))
    translator.close()
    assert [each.texts for each in renderings] == [[e.text, *e.alternatives] for e in expected]
    assert [each.finish_reason for each in renderings] == [e.finish_reason for e in expected]
    assert sum(reports) == len(SENTENCES)


def test_what_is_there_is_not_made_again(interpreter, tmp_path):
    first, _ = translate(interpreter, tmp_path / "out")
    interpreter.bundle.rename(moved := interpreter.bundle.with_name("moved"))

    second, reports = translate(interpreter, tmp_path / "out")

    moved.rename(interpreter.bundle)
    assert second == first
    assert reports == [len(SENTENCES)]


def test_interrupted_work_goes_on_from_the_chunks_that_are_done(interpreter, tmp_path):
    whole, _ = translate(interpreter, tmp_path / "whole")
    done = []

    def stop_after_three(count):
        done.append(count)
        if sum(done) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        translate_all(interpreter, SENTENCES, tmp_path / "out", stop_after_three, 2)
    again, reports = translate(interpreter, tmp_path / "out")

    assert again == whole
    assert reports[0] in {1, 2}


@pytest.mark.parametrize("change", ["identity", "beam", "sentences"])
def test_what_others_made_of_other_sentences_is_removed(change, interpreter, tmp_path):
    translate(interpreter, tmp_path / "out")
    changes = {"identity": {"identity": "tiny/2"}, "beam": {"beam": 3}}.get(change, {})
    other = replace(interpreter, **changes)
    sentences = [*SENTENCES, "Katze"] if change == "sentences" else SENTENCES

    _, reports = translate(other, tmp_path / "out", sentences)

    assert reports[0] == 0


def test_sentences_of_a_chunk_are_of_like_length(interpreter, tmp_path):
    translate(interpreter, tmp_path / "out")

    sizes = [len(json.loads((tmp_path / f"out/{i}.json").read_text())) for i in range(3)]

    assert sizes == [2, 2, 1]
