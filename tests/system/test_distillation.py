"""Two teachers and a smaller student, by the commands alone: say these digits."""

import pytest
from typer.testing import CliRunner

from models.bundle import Bundle
from service.engine import TranslationOptions, open_translator
from service.evaluation import score
from tests.system.digits import CORPUS, read_test, write_digits
from training.cli import dragoman_train

pytestmark = pytest.mark.slow

SIZES = {"train": 1500, "dev": 60, "test": 60}
RECIPE = """
name = "{name}"
version = 1
{corpus}
[tokenizer]
kind = "bpe"
size = {vocabulary}
normalisation = "NFC"

[network]
cell = "gru"
attention = "general"
embedding_size = {size}
encoder_layers = 1
encoder_size = {size}
decoder_layers = 1
decoder_size = {size}
tying = "all"

[training]
seed = {seed}
precision = "fp32"
batch_tokens = 600
learning_rate = 0.01
schedule = "trapezoid"
warmup_steps = 20
decay_steps = 100
max_steps = {steps}
clip_norm = 1.0
ema_decay = 0.95
validate_steps = {steps}
validation_sentences = 60

[distillation]
beam = 3
length_penalty = 1.0
best_of = 2
keep_originals = 0.5

[export]
beams = [1, 2]
length_penalties = [1.0]
sweep_sentences = 60
parity_sentences = 30
variants = ["fp32", "int8"]
max_bleu_loss = 5
max_source_tokens = 40
"""


def call(command, recipe, corpora, *arguments):
    folders = ["--corpora", corpora, "--runs", corpora / "runs", "--bundles", corpora / "bundles"]
    done = CliRunner().invoke(dragoman_train, [*map(str, [command, recipe, *folders, *arguments])])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def write(corpora, name, **values):
    path = corpora / f"{name}.toml"
    path.write_text(RECIPE.format(name=name, corpus=CORPUS, **values))
    return path


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder of files whose second side says after the first what it is told."""
    folder = tmp_path_factory.mktemp("distil")
    write_digits(folder, SIZES, shortest=3, longest=6)
    return folder


@pytest.fixture(scope="module")
def teachers(corpora):
    """Two runs that differ in their seed."""
    recipes = [
        write(corpora, f"teacher-{seed}", seed=seed, size=48, steps=400, vocabulary=330)
        for seed in (1, 2)
    ]
    for recipe in recipes:
        call("prepare", recipe, corpora)
        call("train", recipe, corpora)
    return recipes


@pytest.fixture(scope="module")
def printed(corpora, teachers):
    recipe = write(corpora, "student", seed=3, size=32, steps=500, vocabulary=320)
    named = [part for teacher in teachers for part in ("--teacher", teacher)]
    return call("distill", recipe, corpora, *named)


def test_student_learns_what_its_teachers_say(printed, corpora):
    bundle = Bundle.open(corpora / "bundles/student/1")
    sources, references = read_test(corpora)

    translator = open_translator(bundle.path, ("aa", "bb"))
    answers = [each.text for each in translator.translate_all(sources, TranslationOptions(beam=1))]
    translator.close()

    assert score(answers, [references], "bb", ["bleu"])[0].score > 80


def test_bundle_names_its_teachers_and_how_much_they_said(printed, corpora):
    distillation = Bundle.open(corpora / "bundles/student/1").manifest.provenance.distillation

    assert [teacher.name for teacher in distillation.teachers] == ["teacher-1", "teacher-2"]
    assert distillation.pairs > 0.9 * SIZES["train"]
    assert 0.6 < distillation.share < 0.7
    assert (distillation.beam, distillation.best_of) == (3, 2)


def test_table_puts_student_beside_its_teachers(printed):
    table = printed[printed.index("on dev") :]
    lines = [line.split("\u2502")[1:-1] for line in table.splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines if line]

    names = [row[0] for row in cells if not any(row[1:])]
    searches = [row[:2] for row in cells if any(row[1:])]
    assert names == ["teacher-1 + teacher-2:", "aa-bb", "student/1: aa-bb"]
    assert searches[:2] == [["fp32", "greedy"], ["fp32", "beam 3, 1"]]
    assert searches[2] == ["int8", "greedy"]


def test_ensemble_is_published_and_served_like_one_network(corpora, teachers):
    recipe = write(corpora, "both", seed=1, size=48, steps=400, vocabulary=330)
    named = [part for teacher in teachers for part in ("--ensemble", teacher)]

    call("export", recipe, corpora, *named)

    bundle = Bundle.open(corpora / "bundles/both/1")
    assert [each.name for each in bundle.manifest.provenance.ensemble] == ["teacher-1", "teacher-2"]
    assert max(score.score for score in bundle.manifest.scores) > 90
