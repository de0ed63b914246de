"""What a GRU is to learn from the laboratory's tasks, asked of the exported bundle."""

import pytest
from typer.testing import CliRunner

from training.cli import dragoman_train
from training.laboratory.accuracy import accuracy_of, ask
from training.laboratory.texts import read_pairs_of

pytestmark = pytest.mark.slow

AT_LEAST = {"copy": 1.0, "parity": 1.0, "addition": 0.99, "reverse": 0.99, "sort": 0.99}


@pytest.mark.parametrize("task", AT_LEAST)
def test_gru_learns(task, tmp_path):
    shown = CliRunner().invoke(dragoman_train, ["lab", task, "--runs", str(tmp_path)])

    assert shown.exit_code == 0, shown.stderr
    [run] = tmp_path.iterdir()
    pairs = read_pairs_of(run / "texts" / "test.tsv")
    taught = dict(read_pairs_of(run / "texts" / "train.tsv"))
    assert not taught.keys() & dict(pairs).keys()
    accuracy = accuracy_of(ask(run / "bundles" / run.name / "1", pairs))
    assert accuracy.all > 400
    assert accuracy.share >= AT_LEAST[task]
