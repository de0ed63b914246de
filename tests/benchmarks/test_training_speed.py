"""The benchmark of training runs, and counts what there is to count."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from training_work import GNMT_LONGEST, GNMT_TOKENS, Learning, examples_of, gnmt, work_of

from training.network import Network
from training.recipe import NetworkRecipe

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.mark.slow
def test_benchmark_of_training_runs(tmp_path):
    few = ["--tiny", "--device", "cpu", "--rounds", "1", "--seconds", "0.01", "--peak-size", "64"]
    command = [sys.executable, "tests/benchmarks/training_speed.py", *few]
    command += ["--results", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "training_speed.json").read_text(encoding="utf-8"))
    speed, peak = report["tables"]
    column = speed["columns"].index("tokens/s, target")
    assert [row[2] for row in speed["rows"]] == ["fp32", "bf16"]
    assert min(row[column] for row in speed["rows"]) > 0
    assert min(row[-1] for row in peak["rows"]) > 0


def test_sample_counts_the_tokens_of_its_steps():
    learning = Learning(gnmt(8, 500), CPU)
    ticks = iter(range(100))

    sample = learning.sample("fp32", 2.5, lambda: next(ticks))

    # the clock is asked before the first step, after each, and at the end
    assert (sample.steps, sample.seconds) == (3, 4)
    padded = 3 * 128 * GNMT_TOKENS
    assert 0.8 * padded < sample.target_tokens < padded
    assert sample.operations > 0


def test_sentences_are_as_long_as_they_are_said_to_be():
    lengths = examples_of(gnmt(8, 500)).source.lengths

    assert lengths.max() <= GNMT_LONGEST
    assert np.mean(lengths) == pytest.approx(GNMT_TOKENS, rel=0.15)


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
def test_work_is_what_torch_counts(attention):
    sizes = {"embedding_size": 6, "encoder_size": 4, "decoder_size": 8}
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    recipe = NetworkRecipe(cell="gru", attention=attention, tying="all", **sizes, **layers)
    network = Network(recipe, 50).eval()
    work, num_source, num_target = work_of(network), 7, 5

    with FlopCounterMode(display=False) as counter:
        network.logits(
            torch.full((1, num_source), 5),
            torch.tensor([num_source]),
            torch.full((1, num_target), 5),
        )

    once_a_sentence = network.decoder.start[0].weight.numel()
    assert counter.get_total_flops() == 2 * (
        work.source_token * num_source
        + work.target_token * num_target
        + work.pair * num_source * num_target
        + once_a_sentence
    )
