"""From a network to a published bundle, on a toy corpus, with the engine that will serve it."""

import io
from functools import reduce
from itertools import product

import numpy as np
import pytest
import torch
from rich.console import Console

from models.bundle import Bundle, Direction, Training, find_bundles
from models.shortlist import open_shortlists
from models.tokenizer import EOS
from service.engine import TranslationOptions, open_translator
from service.evaluation import score
from training.export import export
from training.network import Network
from training.prepare import Prepared, prepare
from training.protocol import score_by
from training.run import open_run
from training.trained import trained_of_bundle, trained_of_run
from training.weights import collect_weights

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
protocols = ["detok", "lc-tok"]

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
# a network that knows nothing scores by chance
max_bleu_loss = 50
"""
GERMAN = ["eins", "zwei", "drei", "vier", "sieben", "acht", "neun", "zehn"]
ENGLISH = ["one", "two", "three", "four", "seven", "eight", "nine", "ten"]
FILES = ["encoder.onnx", "step.onnx", "weights.bin"]
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


def make_trained(run):
    return trained_of_run(run, make_network(run), TRAINING)


@pytest.fixture
def trained(run):
    return make_trained(run)


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def bundle(run, folder, console):
    """Made once, for it is measured by the engine; it never changes."""
    return export(run, make_trained(run), folder / "bundles", console)


def test_bundle_is_published_whole_and_the_draft_is_gone(bundle, run, folder):
    assert find_bundles(folder / "bundles") == [folder / "bundles" / "toy" / "3"]
    assert Bundle.open(bundle.path).manifest == bundle.manifest
    assert not (run.folder / "bundle.draft").exists()


def test_manifest_says_what_the_bundle_is_and_where_it_comes_from(bundle, run, trained):
    manifest = bundle.manifest

    assert manifest.target_tags == {"en": "<2en>", "de": "<2de>"}
    assert manifest.state == ["state_0", "state_1"]
    assert manifest.step.inputs["state_1_PH"].shape == ["P", 24]
    assert manifest.architecture.parameters == trained.network.num_parameters
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
    translator = open_translator(bundle.path, ("en", "de"), variant="int8")
    options = TranslationOptions(beam=1)
    answers = [each.text for each in translator.translate_all(english, options)]
    translator.close()

    metrics = score(answers, [german], "de", ["bleu", "chrf"], resamples=1000)
    metrics += score_by(["lc-tok"], answers, german, "de", resamples=1000)
    expected = {metric.name: metric for metric in metrics}

    greedy = [
        each
        for each in bundle.manifest.scores
        if each.beam == 1 and each.direction == Direction(source="en", target="de")
    ]
    assert [each.metric for each in greedy] == ["BLEU", "chrF2", "lc-tok BLEU"]
    for each in greedy:
        assert each.score == pytest.approx(expected[each.metric].score, abs=0.005)
        assert each.signature == expected[each.metric].signature
        assert each.interval == pytest.approx(expected[each.metric].interval, abs=0.005)
        assert (each.test_set, each.sentences) == ("toy test", 8)


def test_card_tells_directions_scores_licence_and_recipe(bundle):
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")

    assert "de to en, en to de" in card
    assert "| toy test | en to de | int8 | greedy | 8 |" in card
    assert "| toy train | 300 | CC0 | nobody \\| in particular |" in card
    assert bundle.manifest.scores[0].signature in card
    assert "| sentences | BLEU | chrF2 | lc-tok BLEU |" in card
    assert "lc-tok BLEU compares text that is lower-cased" in card
    assert 'name = "toy"' in card


def test_published_version_is_not_made_again(bundle, trained, run, folder, console):
    with pytest.raises(ValueError, match="version 3 of toy is published already"):
        export(run, trained, folder / "bundles", console)


def test_graphs_that_do_not_follow_the_network_are_not_published(run, trained, tmp_path, console):
    with torch.no_grad():
        trained.network.decoder.readout.bias[3] = torch.nan

    with pytest.raises(ValueError, match="parity: logits"):
        export(run, trained, tmp_path / "bundles", console)

    assert find_bundles(tmp_path / "bundles") == []


@pytest.fixture(scope="module")
def again(bundle, run, folder, console):
    """The bundle made again as version 4, from its own graphs and with another search."""
    text = run.toml.replace('version = "3"', 'version = "4"')
    text = text.replace("beams = [1, 2]", "beams = [1, 3]")
    listed = "shortlist = { likeliest = 3, frequent = 4 }"
    (folder / "again.toml").write_text(text.replace("[export]", f"[export]\n{listed}"))
    renewed = open_run(folder / "again.toml", folder, folder / "other runs")
    return export(renewed, trained_of_bundle(renewed, bundle.path), folder / "bundles", console)


def test_bundle_made_from_a_bundle_has_its_weights_and_its_provenance(again, bundle):
    before, after = bundle.manifest.provenance, again.manifest.provenance

    assert again.identity == "toy/4"
    assert (after.training, after.data) == (before.training, before.data)
    assert after.weights_from == "toy/3"
    assert before.weights_from is None
    reference = bundle.manifest.variants["fp32"]
    assert again.manifest.variants["fp32"] == reference
    assert again.manifest.tokenizer == bundle.manifest.tokenizer
    card = again.file(again.manifest.card).read_text(encoding="utf-8")
    assert "The weights are those of toy/3" in card


def test_bundle_made_from_a_bundle_is_searched_and_measured_anew(again):
    swept = {(row.beam, row.length_penalty) for row in again.manifest.provenance.sweep.rows}

    assert swept == {(1, 0.6), (3, 0.6), (3, 1.0)}
    assert {score.variant for score in again.manifest.scores} == {"int8"}
    assert "beams = [1, 3]" in again.manifest.provenance.recipe


def test_shortlists_are_counted_from_the_training_text_and_weighed(again, bundle):
    variant = again.manifest.variants["int8"]
    shortlists, tokenizer = open_shortlists(again, variant.shortlists), again.tokenizer()
    own = {
        tokenizer.decode([id]) for id in shortlists.choose([tokenizer.encode("zwei")[0]]).tolist()
    }

    assert variant.shortlist_cost.sentences == 2 * 6
    # Those of int8 without shortlists, which are its own beside fp32.
    references = [row.reference for row in variant.shortlist_cost.rows]
    assert references == [row.score for row in variant.cost.rows]
    assert "two" in own
    assert len(own) <= 4
    card = again.file(again.manifest.card).read_text(encoding="utf-8")
    assert "int8 has shortlists" in card
    assert bundle.manifest.variants["int8"].shortlists is None


def test_first_origin_of_weights_is_kept(again, run):
    assert trained_of_bundle(run, again.path).weights_from == "toy/3"


@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        ('tying = "all"', 'tying = "none"', "network"),
        ("batch_tokens = 100", "batch_tokens = 101", "training"),
        ('kind = "bpe"', 'kind = "char"', "tokenizer"),
        ("max_words = 50", "max_words = 51", "corpus"),
    ],
)
def test_recipe_that_trains_something_else_is_refused(old, new, section, bundle, run, tmp_path):
    (tmp_path / "toy.toml").write_text(run.toml.replace(old, new), encoding="utf-8")
    other = open_run(tmp_path / "toy.toml", run.corpora, tmp_path)

    with pytest.raises(ValueError, match=rf"\[{section}\] of the recipe is not what toy/3"):
        trained_of_bundle(other, bundle.path)


def test_variants_stand_in_manifest_and_card_with_their_cost(bundle):
    variants = bundle.manifest.variants
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")

    assert variants.keys() == {"fp32", "int8", "fp16"}
    assert variants["fp32"].cost is None
    for name in ("int8", "fp16"):
        cost = variants[name].cost
        assert (cost.test_set, cost.sentences) == ("toy dev", 2 * 6)
        assert {(row.metric, row.direction.source) for row in cost.rows} == {
            (metric, source) for metric in ("BLEU", "chrF2") for source in ("de", "en")
        }
        size = sum((bundle.path / name / file).stat().st_size for file in FILES)
        assert f"| {name} |" in card
        assert f"| {size / 1e6:.1f} MB |" in card


def test_variants_for_a_gpu_hold_the_graphs_that_one_decodes_with(bundle):
    lacks_graphs = {
        name: {variant.greedy is None, variant.beam is None, variant.join is None}
        for name, variant in bundle.manifest.variants.items()
    }

    assert lacks_graphs == {"fp32": {False}, "fp16": {False}, "int8": {True}}


def test_reference_alone_is_published_without_costs(run, folder, tmp_path, console):
    text = run.toml.replace("[export]", '[export]\nvariants = ["fp32"]')
    (tmp_path / "toy.toml").write_text(text, encoding="utf-8")
    alone = open_run(tmp_path / "toy.toml", run.corpora, tmp_path)
    prepare(alone)

    bundle = export(alone, make_trained(alone), tmp_path / "bundles", console)

    assert bundle.manifest.variants.keys() == {"fp32"}
    assert {score.variant for score in bundle.manifest.scores} == {"fp32"}
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")
    assert "What they cost" not in card


def test_layers_on_one_another_are_published_in_every_variant_and_read_back(run, tmp_path, console):
    text = run.toml.replace("encoder_layers = 1", "encoder_layers = 3\nlayer_norm = true")
    text = text.replace(
        "decoder_layers = 2", 'decoder_layers = 4\nresidual = true\ncontext = "first"'
    )
    text = text.replace("[export]", "[export]\nshortlist = { likeliest = 3, frequent = 4 }")
    (tmp_path / "toy.toml").write_text(text, encoding="utf-8")
    deep = open_run(tmp_path / "toy.toml", run.corpora, tmp_path / "runs")
    prepare(deep)

    bundle = export(deep, make_trained(deep), tmp_path / "bundles", console)

    shape = bundle.manifest.architecture
    assert (shape.layer_norm, shape.residual, shape.context) == (True, True, "first")
    assert bundle.manifest.variants.keys() == {"fp32", "int8", "fp16"}
    assert bundle.manifest.provenance.parity.max_logit_difference < 1e-4
    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")
    assert "| between layers | normalised, residual |" in card
    weights = collect_weights(trained_of_bundle(deep, bundle.path).network)
    before = collect_weights(make_network(deep))
    assert all(np.array_equal(weights[name], values) for name, values in before.items())


CHANGES = {
    'version = "3"': "version = VERSION",
    'directions = [["de", "en"], ["en", "de"]]': 'directions = [["de", "en"]]',
    "max_bleu_loss = 50": "max_bleu_loss = 10\nvariants = VARIANTS",
    "beams = [1, 2]": "beams = [1]",
    "sweep_sentences = 6": "sweep_sentences = 12",
}
ONE_WAY = reduce(lambda text, change: text.replace(*change), CHANGES.items(), RECIPE)
"""The recipe with one direction, one search and what a test fills in."""


def make_one_way(folder, *, version, variants):
    """Open the recipe of one direction on the corpus in `folder`."""
    text = ONE_WAY.replace("VERSION", str(version)).replace("VARIANTS", str(variants))
    (folder / "one.toml").write_text(text, encoding="utf-8")
    return open_run(folder / "one.toml", folder, folder / "runs")


def with_an_idle_unit(network):
    """Let one unit of the memory be zero for all sources, and the readout weigh it enormously.

    In floating point nothing follows from that. In integers the weights of an output share
    one scale, beside which all others vanish.
    """
    size, (layer,) = network.recipe.encoder_size, network.encoder.layers
    with torch.no_grad():
        for parameter in layer.forwards.parameters():
            parameter[::size] = 0  # the first unit of each gate
        network.decoder.readout.weight[:, network.recipe.decoder_size] = 1e6
    return network


def make_one_way_network(run):
    """Draw a network whose translations end, and differ."""
    network = make_network(run)
    with torch.no_grad():
        network.output.bias[EOS] += 1.5
        for name, parameter in network.named_parameters():
            if "output" not in name:
                parameter.mul_(2)
    return network


def retell_dev(folder, bundle):
    """Make what fp32 says of dev the truth of dev, so that fp32 scores 100."""
    german = (folder / "dev.de").read_text(encoding="utf-8").splitlines()
    translator = open_translator(bundle.path, ("de", "en"), variant="fp32")
    answers = translator.translate_all(german, TranslationOptions(beam=1))
    lines = "".join(" ".join(each.text.splitlines()) + "\n" for each in answers)
    translator.close()
    (folder / "dev.en").write_text(lines, encoding="utf-8")


@pytest.fixture
def one_way(tmp_path):
    write_corpus(tmp_path)
    run = make_one_way(tmp_path, version=1, variants=["fp32"])
    prepare(run)
    return run


def test_bundle_of_several_heads_translates_and_aligns_in_every_variant(one_way, tmp_path, console):
    variants = ["fp32", "int8", "fp16"]
    plain = make_one_way(tmp_path, version=2, variants=variants).toml
    heads = 'attention = "additive"\nattention_heads = 4\nattention_size = 16'
    (tmp_path / "heads.toml").write_text(plain.replace('attention = "general"', heads))
    run = open_run(tmp_path / "heads.toml", tmp_path, tmp_path / "runs")
    trained = trained_of_run(run, make_one_way_network(run), TRAINING)

    bundle = export(run, trained, tmp_path / "bundles", console)

    card = bundle.file(bundle.manifest.card).read_text(encoding="utf-8")
    assert "| attention | additive in 16, 4 heads |" in card
    assert trained_of_bundle(run, bundle.path).weights_from == "toy/2"
    for variant, beam in product(variants, (1, 3)):
        translator = open_translator(bundle.path, ("de", "en"), variant=variant)
        options = TranslationOptions(beam=beam, attention=True)
        (answer,) = translator.translate_all(["eins zwei drei"], options)
        translator.close()
        sums = [sum(row) for row in answer.attention[0].weights]
        assert sums == pytest.approx([1] * len(sums), abs=0.01)


def test_integers_that_hold_the_weights_pass(one_way, tmp_path, console):
    trained = trained_of_run(one_way, make_one_way_network(one_way), TRAINING)
    retell_dev(tmp_path, export(one_way, trained, tmp_path / "bundles", console))
    both = make_one_way(tmp_path, version=2, variants=["fp32", "int8"])

    bundle = export(both, trained, tmp_path / "bundles", console)

    rows = bundle.manifest.variants["int8"].cost.rows
    (bleu,) = [row for row in rows if row.metric == "BLEU"]
    assert bleu.reference == pytest.approx(100)
    assert bleu.score > 90


def test_integers_that_cannot_hold_the_weights_are_refused(one_way, tmp_path, console):
    network = with_an_idle_unit(make_one_way_network(one_way))
    trained = trained_of_run(one_way, network, TRAINING)
    retell_dev(tmp_path, export(one_way, trained, tmp_path / "bundles", console))
    both = make_one_way(tmp_path, version=2, variants=["fp32", "int8"])

    with pytest.raises(ValueError, match=r"int8 scores .* where fp32 scores 100\.00"):
        export(both, trained, tmp_path / "bundles", console)

    assert [path.name for path in find_bundles(tmp_path / "bundles")] == ["1"]
