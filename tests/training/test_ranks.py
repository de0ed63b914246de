"""Two processes train as one does, and neither waits for one that is gone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from training import checkpoint
from training.prepare import prepare
from training.ranks import ALONE, Ranks, is_one_of_several
from training.trainer import Trainer

ROOT = Path(__file__).parents[2]
SECONDS = 300
# Trains for some steps, and is gone like a process that was killed.
SHORT_LIVED = """
import os, sys
from pathlib import Path
from training.ranks import join
from training.run import open_run
from training.trainer import Trainer

def leave(position, window):
    if position.step == 2:
        os._exit(9)

run = open_run(*map(Path, sys.argv[1:]))
with join() as (ranks, device):
    Trainer(run, device, ranks).train(leave)
"""


def folders(toy):
    return ["--corpora", str(toy.corpora), "--runs", str(toy.runs)]


def environment(**more):
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


def train_with_two(toy, **changes):
    recipe = toy.recipe(**changes)
    prepare(toy.open(**changes))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "training", "train", str(recipe)]
    done = subprocess.run(
        [*command, *folders(toy)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def read_metrics(toy):
    lines = (toy.runs / "toy" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(metrics):
    return [(line["loss"], line["gradient_norm"]) for line in metrics]


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_go_on_where_they_stopped(toy):
    changes = {"training__validate_steps": 2, "training__ema_decay": 0.9}
    alone = toy.open(**changes)
    prepare(alone)
    Trainer(alone, torch.device("cpu")).train()
    metrics = read_metrics(toy)
    weights = checkpoint.load(alone.checkpoints / "last.pt")["average"]
    toy.runs = toy.runs / "together"

    train_with_two(toy, **changes, training__max_steps=4)
    done = train_with_two(toy, **changes)

    together = read_metrics(toy)
    assert [line["tokens"] for line in together] == [line["tokens"] for line in metrics]
    for found, expected in zip(losses(together), losses(metrics), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(
        checkpoint.load(toy.open(**changes).checkpoints / "last.pt")["average"],
        weights,
        rtol=1e-4,
        atol=1e-5,
    )
    assert done.stdout.count("dev BLEU") == 1


@pytest.mark.slow
def test_process_whose_fellow_is_gone_ends_and_says_so(toy):
    prepare(toy.open())
    recipe = str(toy.recipe())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    commands = [
        [sys.executable, "-m", "training", "train", recipe, *folders(toy)],
        [sys.executable, "-c", SHORT_LIVED, recipe, str(toy.corpora), str(toy.runs)],
    ]

    first, second = (
        subprocess.Popen(
            command, env=environment(**shared, RANK=str(rank)), stderr=subprocess.PIPE, text=True
        )
        for rank, command in enumerate(commands)
    )
    said = [process.communicate(timeout=SECONDS)[1] for process in (first, second)]

    assert (first.returncode, second.returncode) == (1, 9)
    assert "another process of this training has ended" in said[0]
    assert "Traceback" not in said[0]


def test_shares_are_every_row_once():
    rows = list(range(5))

    assert sorted(row for rank in range(3) for row in rows[Ranks(rank, 3).share]) == rows


def test_one_process_asks_nobody():
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([3.0, 4.0])

    loss = ALONE.add_up([parameter], torch.tensor(7.0))

    assert (loss.item(), parameter.grad.tolist()) == (7.0, [3.0, 4.0])
    assert ALONE.ask_first(lambda: "answer") == "answer"
    assert ALONE.collect("mine") == ["mine"]


@pytest.mark.parametrize(("processes", "expected"), [(None, False), ("1", False), ("2", True)])
def test_torchrun_tells_how_many_there_are(processes, expected, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if processes:
        monkeypatch.setenv("WORLD_SIZE", processes)

    assert is_one_of_several() is expected
