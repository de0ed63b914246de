"""From text of one language to a better translator into it, by the commands alone."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from service.evaluation import score

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORDS = {
    "aa": ["Zero", "one", "two", "three", "four", "five", "six", "seven", "Eight", "NINE"],
    "bb": ["null", "EINS", "zwei", "drei", "Vier", "fünf", "sechs", "Sieben", "acht", "neun"],
}
SIZES = {"real": 1500, "few": 20, "dev": 40, "test": 60, "news": 1500}
TEXT = 'name = "{0}", languages = ["aa", "bb"], files = ["{0}.aa", "{0}.bb"]'
RECIPE = """
name = "{name}"
version = 1

[corpus]
directions = {directions}
cleaning = {{ max_words = 20, max_ratio = 3.0, min_ratio_characters = 30 }}
dev = [{{ {dev} }}]
tests = [{{ {test} }}]

[[corpus.train]]
{train}

[tokenizer]
kind = "bpe"
size = 340
normalisation = "NFC"
case = "inline"

[network]
cell = "gru"
attention = "general"
embedding_size = 32
encoder_layers = 1
encoder_size = 48
decoder_layers = 2
decoder_size = 64
tying = "all"

[training]
precision = "fp32"
batch_tokens = 600
learning_rate = 0.006
schedule = "trapezoid"
warmup_steps = 30
decay_steps = 200
max_steps = {steps}
clip_norm = 1.0
ema_decay = 0.98
validate_steps = 300
validation_sentences = 40

[export]
beams = [1]
length_penalties = [1.0]
sweep_sentences = 40
parity_sentences = 20
variants = ["fp32", "int8"]
max_source_tokens = 60
max_bleu_loss = 5.0
"""


def call(module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # so small a network gains nothing from more
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_texts(folder):
    draw = random.Random(4)
    lines = {tuple(draw.choices(range(10), k=draw.randint(4, 8))) for _ in range(4000)}
    lines = sorted(lines, key=lambda line: (draw.random(), line))
    for name, size in SIZES.items():
        own = [lines.pop() for _ in range(size)]
        for language, words in WORDS.items():
            text = "".join(" ".join(words[i] for i in line) + "\n" for line in own)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    (folder / "news.aa").unlink()  # nobody translated it


def write_recipe(folder, name, directions, train, steps):
    texts = {each: TEXT.format(each) for each in ("dev", "test")}
    path = folder / f"{name}.toml"
    directions = json.dumps(directions)
    path.write_text(
        RECIPE.format(name=name, directions=directions, train=train, steps=steps, **texts)
    )
    return path


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("back")
    write_texts(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(corpora):
    """A translator to bb: twenty real pairs, and news that a translator to aa translated back."""
    runs = ["--corpora", corpora, "--runs", corpora / "runs"]
    bundles = ["--bundles", corpora / "bundles"]
    train = TEXT.format("real").replace(", l", "\nl").replace(", f", "\nf")
    back = write_recipe(corpora, "back", [["bb", "aa"]], train, steps=600)
    call("training", "all", back, *runs, *bundles)
    train = train.replace("real", "few")
    forth = write_recipe(corpora, "forth", [["aa", "bb"]], train, steps=600)
    made_of = ["--text", corpora / "news.bb", "--bundle", corpora / "bundles/back/1"]
    printed = call(
        "training", "back-translate", forth, *made_of, "--from=aa", "--to=bb", *runs, "--beam=1"
    )
    train += "\n\n" + printed[printed.index("[[corpus.train]]") :]
    forth = write_recipe(corpora, "forth", [["aa", "bb"]], train, steps=600)
    call("training", "all", forth, *runs, *bundles)
    return corpora / "bundles/forth/1"


def test_what_only_synthetic_text_could_teach_is_learnt(bundle, corpora):
    sources, references = (
        (corpora / f"test.{side}").read_text(encoding="utf-8").splitlines() for side in WORDS
    )

    printed = call(
        "service", "translate", "--from=aa", "--to=bb", "--bundles", bundle.parents[1], *sources
    )

    # The real pairs alone give 27.
    assert score(printed.splitlines(), [references], "bb", ["bleu"])[0].score > 80


def test_bundle_names_the_synthetic_text_and_its_maker(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    real, synthetic = manifest["provenance"]["data"]

    assert (real["name"], real["sources_by"]) == ("few", None)
    assert (synthetic["name"], synthetic["sources_by"]) == ("news.aa-bb", "back/1")
    assert synthetic["pairs"] > 1000
    assert "sources are translations of its targets by back/1" in (bundle / "card.md").read_text()
    assert manifest["tokenizer"]["case"] == "inline"
