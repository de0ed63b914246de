import os

import pytest
import torch

from training.determinism import THREADS, make_deterministic
from training.prepare import prepare
from training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Whatever a test sets for the whole process is undone."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = benchmark


def train(toy, threads, folder):
    toy.runs = toy.runs.parent / folder
    run = toy.open(
        training__deterministic=True,
        training__batch_tokens=600,
        network__decoder_size=256,  # large enough for threads to share a product
        network__embedding_size=128,
        network__dropout_layers=0.2,
    )
    prepare(run)
    torch.set_num_threads(threads)
    trainer = Trainer(run, CPU)
    trainer.train()
    return trainer.network.state_dict()


def test_two_runs_give_equal_bits_however_many_threads_there_are(toy):
    first, second = train(toy, 1, "first"), train(toy, 3, "second")

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_operations_that_depend_on_chance_are_refused():
    make_deterministic()

    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == THREADS
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    assert not torch.backends.cudnn.benchmark
