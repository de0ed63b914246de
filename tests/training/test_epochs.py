import numpy as np
import pytest

from training.epochs import Epochs
from training.prepare import Prepared, prepare


@pytest.fixture
def run(toy):
    run = toy.open()
    prepare(run)
    return run


def ids(examples):
    return np.concatenate([examples.source.ids, examples.target.ids]).tolist()


@pytest.mark.slow
def test_examples_are_the_same_whoever_makes_them(run):
    prepared = Prepared(run)
    epochs = Epochs(run, prepared, is_ahead=True)

    # the second was begun with the first; the third was not, for nobody leaves one out
    found = [ids(epochs.examples(epoch)) for epoch in (0, 1, 5)]
    epochs.close()

    assert found == [ids(prepared.examples(epoch)) for epoch in (0, 1, 5)]


@pytest.mark.slow
def test_examples_that_the_other_process_cannot_make_are_made_here(run):
    prepared = Prepared(run)
    epochs = Epochs(run, prepared, is_ahead=True)
    (run.prepared / "tokenizer.model").rename(run.prepared / "hidden")
    epochs.examples(0)

    found = ids(epochs.examples(1))
    epochs.close()

    assert found == ids(prepared.examples(1))
