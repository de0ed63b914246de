"""What a GRU is to learn from the laboratory's tasks, asked of the exported bundle."""

import pytest
from typer.testing import CliRunner

from training.cli import dragoman_train
from training.laboratory.accuracy import accuracy_of, ask
from training.laboratory.texts import read_pairs_of

pytestmark = pytest.mark.slow

AT_LEAST = {"copy": 1.0, "parity": 1.0, "addition": 0.99, "reverse": 0.99, "sort": 0.99}
"""Share of the held-out questions that is answered exactly."""
SMALL = {
    "copy": ("--length", "5", "--steps", "500"),
    "parity": ("--length", "8", "--steps", "2000"),
    "addition": ("--length", "2", "--steps", "2000", "--size", "64"),
    "reverse": ("--length", "5", "--steps", "500"),
}


def learn(task, runs, *flags):
    """Return how the exported bundle answers questions that it was not taught."""
    shown = CliRunner().invoke(dragoman_train, ["lab", task, *flags, "--runs", str(runs)])

    assert shown.exit_code == 0, shown.stderr
    [run] = runs.iterdir()
    pairs = read_pairs_of(run / "texts" / "test.tsv")
    taught = dict(read_pairs_of(run / "texts" / "train.tsv"))
    assert not taught.keys() & dict(pairs).keys()
    return accuracy_of(ask(run / "bundles" / run.name / "1", pairs))


@pytest.mark.parametrize("task", SMALL)
def test_gru_learns_short_questions(task, tmp_path):
    accuracy = learn(task, tmp_path, *SMALL[task])

    assert accuracy.all > 50
    assert accuracy.share >= AT_LEAST[task]


@pytest.mark.long
@pytest.mark.parametrize("task", AT_LEAST)
def test_gru_learns(task, tmp_path):
    accuracy = learn(task, tmp_path)

    assert accuracy.all > 400
    assert accuracy.share >= AT_LEAST[task]
