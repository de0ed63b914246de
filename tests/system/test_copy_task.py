"""From parallel text to an answer over HTTP, by the commands alone: copy these digits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from service.evaluation import score
from tests.system.digits import CORPUS, read_test, write_digits

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SIZES = {"train": 3000, "dev": 60, "test": 60}
RECIPE = f"""
name = "copy"
version = 1
{CORPUS}
[tokenizer]
kind = "bpe"
size = 330
normalisation = "NFC"

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
decay_steps = 300
max_steps = 900
clip_norm = 1.0
ema_decay = 0.98
validate_steps = 300
validation_sentences = 60

[export]
beams = [1, 2]
length_penalties = [1.0]
sweep_sentences = 60
parity_sentences = 60
max_source_tokens = 40
"""


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # so small a network gains nothing from more
        capture_output=True,
        text=True,
        check=False,
    )


def call(module, *arguments):
    done = run(module, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder of files whose second side says after the first what it is told."""
    folder = tmp_path_factory.mktemp("copy")
    write_digits(folder, SIZES, shortest=4, longest=8)
    (folder / "copy.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def bundles(corpora):
    folders = ["--corpora", corpora, "--runs", corpora / "runs", "--bundles", corpora / "bundles"]
    call("training", "all", corpora / "copy.toml", *folders)
    return corpora / "bundles"


@pytest.fixture
def url(bundles):
    """The address of a server in a process of its own, on a port that was free."""
    server = subprocess.Popen(
        [sys.executable, "-m", "service", "serve", "--port", "0", "--bundles", str(bundles)],
        cwd=ROOT,
        env={**os.environ, "DRAGOMAN_LOG_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with server:
        events = (json.loads(line) for line in server.stdout)
        port = next(event["port"] for event in events if event["event"] == "listening")
        assert any(event["event"] == "ready" for event in events)
        yield f"http://127.0.0.1:{port}"
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)  # its last lines need a reader
    assert server.returncode == 0


@pytest.fixture
def texts(corpora):
    """Digits that were not learnt, and what they are to become."""
    return read_test(corpora)


def test_digits_are_copied_over_http(url, texts):
    sources, references = texts

    answer = httpx2.post(
        f"{url}/v1/translate", json={"text": sources, "source": "aa", "target": "bb"}, timeout=60
    )

    assert answer.status_code == 200
    translations = [each["text"] for each in answer.json()["translations"]]
    assert score(translations, [references], "bb", ["bleu"])[0].score > 90
    assert sum(map(str.__eq__, translations, references)) > 0.9 * len(references)


def test_digits_are_copied_on_the_command_line(bundles, texts):
    sources, references = texts

    printed = call("service", "translate", "--from=aa", "--to=bb", "--bundles", bundles, *sources)

    assert score(printed.splitlines(), [references], "bb", ["bleu"])[0].score > 90


def test_version_that_is_published_is_not_published_again(bundles, corpora):
    folders = ["--corpora", corpora, "--runs", corpora / "runs", "--bundles", bundles]

    done = run("training", "all", corpora / "copy.toml", *folders)

    assert done.returncode == 1
    assert "version 1 of copy is published already" in done.stderr
