"""Every recurrent cell learns to copy, passes the gates of its export and copies when served."""

import io

import pytest
import torch
from rich.console import Console

from models.bundle import find_bundles
from service.engine import TranslationOptions, open_translator
from tests.system.digits import CORPUS, read_test, write_digits
from training.export import export
from training.forms import CELLS
from training.prepare import prepare
from training.run import open_run
from training.trained import load_network, trained_of_run
from training.trainer import Trainer

pytestmark = pytest.mark.slow

ENOUGH = 0.8
"""Of the lines without a fault. How soon the last ones are learnt differs between machines."""
SIZES = {"train": 1500, "dev": 40, "test": 40}
RECIPE = """
name = "copy"
version = 1
{corpus}
[tokenizer]
kind = "bpe"
size = 330
normalisation = "NFC"

[network]
{network}
attention = "additive"
embedding_size = 24
encoder_layers = 1
encoder_size = 32
decoder_layers = 2
decoder_size = 32
tying = "all"

[training]
precision = "fp32"
batch_tokens = 300
learning_rate = 0.005
schedule = "trapezoid"
warmup_steps = 30
decay_steps = 500
max_steps = 1200
clip_norm = 1.0
ema_decay = 0.95
validate_steps = 200
validation_sentences = 40

[export]
variants = {variants}
beams = [1, 2]
length_penalties = [1.0]
sweep_sentences = 40
parity_sentences = 40
max_source_tokens = 40
max_bleu_loss = 2.0
"""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder of files whose second side says after the first what it is told."""
    folder = tmp_path_factory.mktemp("cells")
    write_digits(folder, SIZES, shortest=3, longest=6)
    return folder


def copied(bundle, variant, corpora):
    """Return the share of the test's lines that a model copies without a fault."""
    sources, references = read_test(corpora)
    translator = open_translator(bundle.path, ("aa", "bb"), variant=variant)
    try:
        answers = translator.translate_all(sources, TranslationOptions(beam=2))
        hypotheses = [answer.text for answer in answers]
    finally:
        translator.close()
    return sum(map(str.__eq__, hypotheses, references)) / len(references)


def train_and_export(corpora, folder, network, variants):
    path = folder / "copy.toml"
    path.write_text(RECIPE.format(corpus=CORPUS, network=network, variants=variants))
    run = open_run(path, corpora, folder / "runs")
    prepare(run)
    Trainer(run, torch.device("cpu")).train()
    trained = trained_of_run(run, *load_network(run))
    return export(run, trained, folder / "bundles", Console(file=io.StringIO()))


OWN_OPTIONS = {"skip": "delay = 3", "elman-relu": 'recurrent_init = "identity"'}


@pytest.mark.parametrize("cell", CELLS)
def test_cell_learns_to_copy_and_copies_as_it_is_served(cell, corpora, tmp_path):
    variants = ["fp32", *(["int8"] if CELLS[cell].form.is_bounded else [])]
    network = f'cell = "{cell}"\n{OWN_OPTIONS.get(cell, "")}'

    bundle = train_and_export(corpora, tmp_path, network, variants)

    assert find_bundles(tmp_path / "bundles") == [bundle.path]
    assert bundle.manifest.architecture.cell == cell
    assert 0 < bundle.manifest.provenance.parity.max_logit_difference < 1e-3
    for variant in variants:
        assert copied(bundle, variant, corpora) > ENOUGH


def test_decoder_that_is_fed_what_attention_read_copies_as_it_is_served(corpora, tmp_path):
    network = 'cell = "gru"\ninput_feeding = true'

    bundle = train_and_export(corpora, tmp_path, network, ["fp32", "int8"])

    assert bundle.manifest.state == ["state_0", "state_1", "state_2"]
    for variant in ("fp32", "int8"):
        assert copied(bundle, variant, corpora) > ENOUGH
