"""Every example once, within the budget, with little padding."""

import numpy as np
import pytest
import torch

from models.tokenizer import PAD
from training.batches import Epoch, pad, plan_epoch
from training.prepare import Examples, Ragged

CPU = torch.device("cpu")
BUDGET = 1000


def draw_examples(count):
    generator = np.random.default_rng(9)
    sources = generator.integers(3, 20, count)
    targets = np.maximum(2, sources + generator.integers(-3, 4, count))
    return Examples(
        *(Ragged.join([[7] * length for length in each]) for each in (sources, targets))
    )


@pytest.fixture(scope="module")
def examples():
    return draw_examples(20_000)


def test_every_example_comes_exactly_once(examples):
    plan = plan_epoch(examples, BUDGET, seed=1)

    assert sorted(np.concatenate(plan)) == list(range(len(examples.source)))


def test_no_batch_exceeds_the_budget(examples):
    for indices in plan_epoch(examples, BUDGET, seed=1):
        longest = max(
            examples.source.lengths[indices].max(), examples.target.lengths[indices].max()
        )
        assert len(indices) * longest <= BUDGET


def test_little_is_padded(examples):
    padded = tokens = 0
    for indices in plan_epoch(examples, BUDGET, seed=1):
        for side in (examples.source, examples.target):
            padded += len(indices) * side.lengths[indices].max()
            tokens += side.lengths[indices].sum()

    assert 1 - tokens / padded < 0.03


def test_batches_are_as_large_as_the_budget_allows(examples):
    sizes = [
        len(indices) * examples.source.lengths[indices].max()
        for indices in plan_epoch(examples, BUDGET, seed=1)
    ]

    assert np.mean(sizes) > 0.8 * BUDGET


def test_same_seed_gives_the_same_plan_and_another_seed_another(examples):
    plans = [
        [tuple(indices) for indices in plan_epoch(examples, BUDGET, seed)] for seed in (1, 1, 2)
    ]

    assert plans[0] == plans[1]
    assert set(plans[0]) != set(plans[2])


def test_lengths_come_in_no_order(examples):
    lengths = [
        examples.source.lengths[indices].max() for indices in plan_epoch(examples, BUDGET, seed=1)
    ]

    assert abs(np.corrcoef(lengths, np.arange(len(lengths)))[0, 1]) < 0.5


def test_sentence_longer_than_the_budget_is_a_batch_of_its_own():
    ragged = Ragged.join([[7] * 3, [7] * 50, [7] * 3])

    plan = plan_epoch(Examples(ragged, ragged), 10, seed=1)

    assert sorted(sorted(indices.tolist()) for indices in plan) == [[0, 2], [1]]


EXAMPLES = Examples(
    Ragged.join([[4, 2], [5], [6, 7, 2], [8, 2]]),
    Ragged.join([[1, 8, 2], [1, 2], [1, 9, 9, 2], [1, 5, 2]]),
)


def test_batch_is_padded_on_the_right_and_knows_what_is_predicted():
    batch = Epoch(EXAMPLES, [np.array([1]), np.array([2, 0])], CPU).batch(1)

    assert batch.source_BS.tolist() == [[6, 7, 2], [4, 2, PAD]]
    assert batch.lengths_B.tolist() == [3, 2]
    assert batch.target_BT.tolist() == [[1, 9, 9, 2], [1, 8, 2, PAD]]
    assert batch.target_BT[:, 1:].flatten()[batch.predicted_N].tolist() == [9, 9, 2, 8, 2]
    assert batch.tokens == 3 + 2


def test_shares_of_a_batch_are_the_batch():
    epoch = Epoch(EXAMPLES, [np.array([0, 1, 2, 3])], CPU)

    shares = [epoch.batch(0, slice(rank, None, 2)) for rank in range(2)]

    assert [share.source_BS.tolist() for share in shares] == [
        [[4, 2, PAD], [6, 7, 2]],
        [[5, PAD], [8, 2]],
    ]
    assert [len(share.predicted_N) for share in shares] == [2 + 3, 1 + 2]
    assert {share.tokens for share in shares} == {2 + 1 + 3 + 2}


def test_share_of_a_small_batch_may_be_nothing():
    batch = Epoch(EXAMPLES, [np.array([0])], CPU).batch(0, slice(1, None, 2))

    assert (len(batch.source_BS), len(batch.predicted_N), batch.tokens) == (0, 0, 2)


def test_sentences_are_padded_to_the_longest():
    ids_BS, lengths_B = pad([[4], [5, 6]], CPU)

    assert ids_BS.tolist() == [[4, PAD], [5, 6]]
    assert lengths_B.tolist() == [1, 2]
