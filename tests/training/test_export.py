"""From a network to a published bundle, on a toy corpus, with the engine that will serve it."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from models.bundle import Bundle, Direction, Training, find_bundles
from service.engine import TranslationOptions, open_translator
from service.evaluation import score
from training.export import export
from training.network import Network
from training.prepare import Prepared, prepare
from training.recipe import open_run

RECIPE = """
name = "toy"
version = "3"

[corpus]
directions = [["de", "en"], ["en", "de"]]
cleaning = { max_words = 50, max_ratio = 4.0, min_ratio_characters = 30 }

[[corpus.train]]
name = "toy train"
languages = ["de", "en"]
files = ["train.de", "train.en"]
licence = "CC0"
attribution = "nobody | in particular"

[[corpus.dev]]
name = "toy dev"
languages = ["de", "en"]
files = ["dev.de", "dev.en"]

[[corpus.tests]]
name = "toy test"
languages = ["en", "de"]
files = ["test.en", "test.de"]

[tokenizer]
kind = "bpe"
size = 330
normalisation = "NFC"

[network]
cell = "gru"
attention = "general"
embedding_size = 16
encoder_layers = 1
encoder_size = 12
decoder_layers = 2
decoder_size = 24
tying = "all"

[training]
batch_tokens = 100
learning_rate = 0.001
schedule = "trapezoid"
warmup_steps = 1
max_steps = 1
clip_norm = 1.0
validate_steps = 1

[export]
beams = [1, 2]
length_penalties = [0.6, 1.0]
sweep_sentences = 6
parity_sentences = 9
max_source_tokens = 60
"""
GERMAN = ["eins", "zwei", "drei", "vier", "sieben", "acht", "neun", "zehn"]
ENGLISH = ["one", "two", "three", "four", "seven", "eight", "nine", "ten"]
TRAINING = Training(minutes=1.5, machine="2 cores", steps=1, epochs=0.5)


def write_corpus(folder):
    random = np.random.default_rng(6)
    for name, count in {"train": 300, "dev": 12, "test": 8}.items():
        # Lengths tell the three apart, so nothing of dev or test is in train.
        length = {"train": 4, "dev": 5, "test": 6}[name]
        numbers = random.permutation(len(GERMAN) ** length)[:count]
        drawn = np.stack(np.unravel_index(numbers, [len(GERMAN)] * length), axis=1).tolist()
        for language, words in {"de": GERMAN, "en": ENGLISH}.items():
            lines = "".join(" ".join(words[i] for i in line) + "\n" for line in drawn)
            (folder / f"{name}.{language}").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def run(folder):
    write_corpus(folder)
    (folder / "toy.toml").write_text(RECIPE, encoding="utf-8")
    run = open_run(folder / "toy.toml", folder, folder / "runs")
    prepare(run)
    return run


def make_network(run):
    torch.manual_seed(8)
    return Network(run.recipe.network, Prepared(run).tokenizer.size)


@pytest.fixture
def network(run):
    return make_network(run)


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def bundle(run, folder, console):
    """Made once, for it is measured by the engine; it never changes."""
    return export(run, make_network(run), TRAINING, folder / "bundles", console)


def test_bundle_is_published_whole_and_the_draft_is_gone(bundle, run, folder):
    assert find_bundles(folder / "bundles") == [folder / "bundles" / "toy" / "3"]
    assert Bundle.open(bundle.path).manifest == bundle.manifest
    assert not (run.folder / "bundle.draft").exists()


def test_manifest_says_what_the_bundle_is_and_where_it_comes_from(bundle, run, network):
    manifest = bundle.manifest

    assert manifest.target_tags == {"en": "<2en>", "de": "<2de>"}
    assert manifest.state == ["state_0", "state_1"]
    assert manifest.step.inputs["state_1_BH"].shape == ["P", 24]
    assert manifest.architecture.parameters == network.num_parameters
    assert manifest.tokenizer.size == bundle.tokenizer().size
    assert manifest.provenance.recipe == run.toml
    assert manifest.provenance.training == TRAINING
    assert manifest.provenance.parity.sentences == 2 * 9
    assert manifest.provenance.parity.max_logit_difference < 1e-4
    assert [data.pairs for data in manifest.provenance.data] == [300]


def test_winner_of_the_sweep_is_the_default(bundle):
    sweep, decoding = bundle.manifest.provenance.sweep, bundle.manifest.decoding

    tried = {(row.beam, row.length_penalty) for row in sweep.rows}
    assert tried == {(1, 0.6), (2, 0.6), (2, 1.0)}
    assert sweep.sentences == 2 * 6
    assert (decoding.beam, decoding.length_penalty) in tried


def test_scores_are_those_of_what_the_engine_answers(bundle, run):
    english, german = (
        (run.corpora / f"test.{language}").read_text().splitlines() for language in ("en", "de")
    )
    translator = open_translator(bundle.path, ("en", "de"))
    options = TranslationOptions(beam=1)
    answers = [each.text for each in translator.translate_all(english, options)]
    translator.close()

    expected = {metric.name: metric for metric in score(answers, [german], "de", ["bleu", "chrf"])}

    greedy = [
        each
        for each in bundle.manifest.scores
        if each.beam == 1 and each.direction == Direction(source="en", target="de")
    ]
    assert {each.metric for each in greedy} == {"BLEU", "chrF2"}
    for each in greedy:
        assert each.score == pytest.approx(expected[each.metric].score, abs=0.005)
        assert each.signature == expected[each.metric].signature
        assert (each.test_set, each.sentences) == ("toy test", 8)


def test_card_tells_directions_scores_licence_and_recipe(bundle):
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")

    assert "de to en, en to de" in card
    assert "| toy test | en to de | greedy | 8 |" in card
    assert "| toy train | 300 | CC0 | nobody \\| in particular |" in card
    assert bundle.manifest.scores[0].signature in card
    assert 'name = "toy"' in card


def test_published_version_is_not_made_again(bundle, run, network, folder, console):
    with pytest.raises(ValueError, match="version 3 of toy is published already"):
        export(run, network, TRAINING, folder / "bundles", console)


def test_graphs_that_do_not_follow_the_network_are_not_published(run, network, tmp_path, console):
    with torch.no_grad():
        network.decoder.readout.bias[3] = torch.nan

    with pytest.raises(ValueError, match="parity: logits"):
        export(run, network, TRAINING, tmp_path / "bundles", console)

    assert find_bundles(tmp_path / "bundles") == []
