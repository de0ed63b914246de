"""What the graphs say of a sentence is the same to the last bit alone and in any company."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.tiny_graphs import (
    CONTEXTS,
    DEEP_PLANS,
    FORMED,
    HEADED,
    SINGLE,
    WIDE,
    Graphs,
    build,
    plan_name,
    random_weights,
)
from training.graphs import Plan, write_ensemble

POSITIONS = 8
"""The service pads to multiples of this; the kernels treat shorter groups apart."""
MAX_LENGTH = 75

WIDEST = replace(WIDE, H=288, A=272)
"""Wide enough for the kernels to divide the sums of one head of two."""

BOTH = pytest.mark.parametrize("precision", ["fp32", "int8"])


class Company:
    """Sentences in one batch, their rows continued at random, but each in its own way."""

    def __init__(self, graphs: Graphs, sources, num_positions, num_rows):
        self.graphs = graphs
        self.num_rows = num_rows
        # Padding is anything.
        random = np.random.default_rng(len(sources))
        source_NS = random.integers(3, WIDE.V, (len(sources), num_positions))
        for source_S, source in zip(source_NS, sources, strict=True):
            source_S[: len(source)] = source
        self.lengths_N = np.array([len(source) for source in sources], np.int32)
        self.memory, self.states = graphs.encode(source_NS, self.lengths_N)
        self.parents_NK = np.arange(len(sources))[:, None].repeat(num_rows, 1)

    def memory_of(self, n):
        keys_NAS, memory_NSM, _ = self.memory
        length = self.lengths_N[n]
        return [keys_NAS[n, :, :length], memory_NSM[n, :length], *(x[n] for x in self.states)]

    def step(self, tokens_K, parents_K, n):
        """Let row k of sentence n continue its row parents_K[k]; return all about sentence n."""
        tokens_NK = np.random.default_rng(5).integers(3, WIDE.V, self.parents_NK.shape)
        parents_NK, tokens_NK[n] = self.parents_NK.copy(), tokens_K
        parents_NK[n] = parents_NK[n, 0] + (parents_K if len(np.unique(parents_NK[n])) > 1 else 0)
        outputs = self.graphs.step(self.memory, self.states, parents_NK, tokens_NK, 6)
        self.states, mine = outputs[3], slice(n * self.num_rows, (n + 1) * self.num_rows)
        self.parents_NK = np.arange(self.parents_NK.size).reshape(self.parents_NK.shape)
        scores_BC, tokens_BC, attention_BS, states = outputs
        weights_KS = attention_BS[mine, : self.lengths_N[n]]
        return [scores_BC[mine], tokens_BC[mine], weights_KS, *(state[mine] for state in states)]


def pad(length):
    return -(-length // POSITIONS) * POSITIONS


def assert_same_bits(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@BOTH
@pytest.mark.parametrize(
    ("plan", "sizes"),
    [(plan, WIDE) for plan in SINGLE[::2] + HEADED + DEEP_PLANS + FORMED[1::2] + CONTEXTS]
    + [(plan, WIDEST) for plan in HEADED[1:]],
    ids=lambda value: plan_name(value) if isinstance(value, Plan) else f"A{value.A}",
)
def test_company_changes_no_bit(plan, sizes, precision, tmp_path):
    assert_company_changes_nothing(
        build(plan, random_weights(plan, sizes=sizes), tmp_path, precision)
    )


@BOTH
def test_company_changes_no_bit_of_what_several_networks_say(precision, tmp_path):
    plans = [Plan("gru", "general", 1, 2), Plan("lstm", "additive", 1, 1)]
    members = [
        (plan, random_weights(plan, seed=seed, sizes=WIDE)) for seed, plan in enumerate(plans)
    ]

    assert_company_changes_nothing(Graphs(write_ensemble(members, tmp_path, precision)))


def assert_company_changes_nothing(graphs):
    random = np.random.default_rng(3)

    for num_rows in (1, 2, 5):
        num_sentences = int(random.integers(2, 9))
        lengths = random.integers(1, MAX_LENGTH, num_sentences)
        sources = [random.integers(3, WIDE.V, length) for length in lengths]
        n = int(lengths.argmin())
        together = Company(graphs, sources, pad(max(lengths)) + POSITIONS, num_rows)
        alone = Company(graphs, [sources[n]], pad(lengths[n]), num_rows)

        assert_same_bits(alone.memory_of(0), together.memory_of(n))
        for _ in range(3):
            tokens_K = random.integers(3, WIDE.V, num_rows)
            parents_K = random.integers(0, num_rows, num_rows)
            assert_same_bits(
                alone.step(tokens_K, parents_K, 0), together.step(tokens_K, parents_K, n)
            )
