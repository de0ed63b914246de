"""What the comparison with others rests on: forced lengths, counted work, failures that show."""

import sys
from pathlib import Path

import pytest
from bench_models import MODEL_L, MODEL_M, Sizes, build_bundle, random_weights, work_of
from engine_side import decode
from peer_contestants import PEERS
from peer_environments import CannotInstall, Environment, prepare
from peer_process import Failed, Process

from models.tokenizer import EOS
from service.engine.hypothesis import SearchOptions
from service.engine.sessions import Sessions
from training.graphs import Plan

SMALL = Sizes(Plan("gru", "general", encoder_layers=2, decoder_layers=1), 24, 16, 32, 32)
SOURCES = [[5, 6, 7, EOS], [8, EOS], [9, 10, 11, 12, 13, EOS]]


@pytest.mark.parametrize("width", [1, 3])
def test_sentences_of_a_network_that_knows_nothing_are_as_long_as_they_may_be(tmp_path, width):
    sessions = Sessions(build_bundle(tmp_path, SMALL, vocabulary=50), variant="fp32")

    found = decode(sessions, SOURCES, SearchOptions(width=width, max_tokens=9))

    assert [len(best.tokens) for best in found] == [9, 9, 9]


def test_sentences_decoded_together_come_back_in_their_own_order(tmp_path):
    sessions = Sessions(build_bundle(tmp_path, SMALL, vocabulary=50), variant="fp32")
    options = SearchOptions(width=2, max_tokens=9)

    together = decode(sessions, SOURCES, options)

    assert together == [decode(sessions, [source], options)[0] for source in SOURCES]


@pytest.mark.parametrize("sizes", [MODEL_L, MODEL_M], ids=["L", "M"])
def test_work_of_a_target_token_is_that_of_the_matrices_it_passes(sizes):
    weights = random_weights(sizes, 100, seed=0)

    # Each weight of a matrix is multiplied once; tables are looked up, not multiplied.
    matrices = [
        weight.size
        for name, weight in weights.items()
        if name.endswith("weight") and name.split(".")[0] in {"decoder", "query", "readout"}
    ]
    attention = 7 * (sizes.attention + sizes.memory)
    output = weights["output_embedding"].size
    assert work_of(sizes, 100, positions=7).target_token == sum(matrices) + attention + output


def test_peer_that_cannot_run_is_named_with_the_reason():
    joeynmt = PEERS[0]

    # The project's environment is not the peer's.
    with pytest.raises(Failed, match=r"JoeyNMT, fp32 ended: .*No module named 'joeynmt'"):
        Process(joeynmt, Path(sys.executable), threads=1)


@pytest.mark.slow
def test_peer_that_cannot_be_installed_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    absent = Environment("absent", ("no-such-package-anywhere==1",))

    with pytest.raises(CannotInstall, match="no-such-package-anywhere"):
        prepare(absent, tmp_path)
