"""Networks that translate together, in PyTorch: the mean of their probabilities."""

import numpy as np
import pytest
import torch

from models.tokenizer import BOS, EOS
from training.batches import pad
from training.ensemble import Ensemble
from training.graphs import write_ensemble
from training.network import Network
from training.parity import check_parity
from training.recipe import NetworkRecipe
from training.weights import collect_weights, plan_of

V = 29
CPU = torch.device("cpu")


def make_network(seed, vocabulary=V, **changes):
    torch.manual_seed(seed)
    sizes = {"embedding_size": 12, "encoder_layers": 1, "encoder_size": 8, "decoder_layers": 2}
    kinds = {"cell": "gru", "attention": "general", "decoder_size": 16, "tying": "all"}
    network = Network(NetworkRecipe.model_validate(sizes | kinds | changes), vocabulary)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network.eval()


@pytest.fixture
def members():
    deep = {"layer_norm": True, "residual": True, "context": "first", "attention_heads": 2}
    different = {"cell": "lstm", "attention": "additive", "decoder_size": 10, "embedding_size": 6}
    return [
        make_network(1),
        make_network(2, **deep),
        make_network(3, decoder_layers=1, **different),
    ]


@pytest.fixture
def pairs():
    random = np.random.default_rng(4)
    lengths = random.integers(0, 9, (20, 2))
    sentences = [[random.integers(4, V, n).tolist() for n in both] for both in lengths]
    return [([*source, EOS], [BOS, *target, EOS]) for source, target in sentences]


def test_probabilities_are_the_means_of_the_members(members, pairs):
    source_BS, lengths_B = pad([source for source, _ in pairs], CPU)
    target_BT, _ = pad([target for _, target in pairs], CPU)

    with torch.no_grad():
        found_BTV = Ensemble(members).logits(source_BS, lengths_B, target_BT)
        parts = [member.logits(source_BS, lengths_B, target_BT) for member in members]

    mean_BTV = torch.stack([part.softmax(-1) for part in parts]).mean(0)
    torch.testing.assert_close(found_BTV, mean_BTV.log())


def test_decoding_step_by_step_equals_decoding_the_whole_target(members, pairs):
    ensemble = Ensemble(members)
    memory, states = ensemble.encode(*pad([source for source, _ in pairs], CPU))
    target_BT, _ = pad([target for _, target in pairs], CPU)
    whole_BTE, weights_BTS, last = ensemble.decode(target_BT, memory, states)

    steps = []
    for token_B in target_BT.T:
        readout_B1E, weights_B1S, states = ensemble.decode(token_B[:, None], memory, states)
        steps.append((readout_B1E, weights_B1S))

    torch.testing.assert_close(torch.cat([step[0] for step in steps], 1), whole_BTE)
    torch.testing.assert_close(torch.cat([step[1] for step in steps], 1), weights_BTS)
    torch.testing.assert_close(states, last)


def test_gate_lets_graphs_through_that_follow_the_ensemble(members, pairs, tmp_path):
    files = write_ensemble([(plan_of(m.recipe), collect_weights(m)) for m in members], tmp_path)

    parity = check_parity(Ensemble(members), files, pairs, 1e-4)

    assert parity.max_logit_difference < 1e-4
    assert parity.sentences == 20


def test_gate_stops_graphs_of_other_members(members, pairs, tmp_path):
    others = [members[0], members[0], members[2]]
    files = write_ensemble([(plan_of(m.recipe), collect_weights(m)) for m in others], tmp_path)

    with pytest.raises(ValueError, match="parity: logits"):
        check_parity(Ensemble(members), files, pairs, 1e-4)


def test_members_of_different_vocabularies_are_refused():
    with pytest.raises(ValueError, match=r"shares a vocabulary; here are sizes \[29, 31\]"):
        Ensemble([make_network(1), make_network(2, vocabulary=31)])


def test_parameters_are_those_of_all(members):
    assert Ensemble(members).num_parameters == sum(each.num_parameters for each in members)
