"""Rounded weights: near the true ones, small on disk, and safe on processors without VNNI."""

from itertools import product

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.training.tiny_graphs import PLANS, WIDE, build, plan_name, random_weights
from training.graphs import Plan, write_graphs
from training.quantize import round_weight
from training.quantized_step import block_size

PLAN = Plan("gru", "general", 2, 2)


def tensors_of(files):
    for path in (files.encoder, files.step):
        for tensor in onnx.load(path).graph.initializer:
            yield tensor.name, numpy_helper.to_array(tensor)


def sum_in_16_bits(products_IO):
    """Sum over inputs as vpmaddubsw does it: two by two, each sum saturated to 16 bits."""
    pairs_IO = products_IO[::2] + products_IO[1::2]
    return np.clip(pairs_IO, -(2**15), 2**15 - 1).sum(axis=0)


@pytest.mark.parametrize("plan", [PLAN, Plan("lstm", "additive", 1, 1)], ids=plan_name)
def test_no_activation_saturates_the_kernels_of_older_processors(plan, tmp_path):
    files = write_graphs(plan, random_weights(plan, sizes=WIDE), tmp_path, "int8")
    weights = [values for _, values in tensors_of(files) if values.dtype == np.int8]

    assert len(weights) > 10
    for weight_IO in weights:
        for worst_IO in (255 * (weight_IO > 0), 255 * (weight_IO < 0)):
            products_IO = worst_IO * weight_IO.astype(np.int64)
            np.testing.assert_array_equal(sum_in_16_bits(products_IO), products_IO.sum(axis=0))


@pytest.mark.parametrize("shape", [(8, 64), (5, 7), (1, 1)])
def test_weights_are_rounded_to_the_nearest_step(shape):
    weight_OI = np.random.default_rng(1).normal(size=shape)

    rounded_OI, scale_O = round_weight(weight_OI)

    error_OI = np.abs(rounded_OI * scale_O[:, None] - weight_OI)
    assert (error_OI <= scale_O[:, None] * 0.5001).all()
    assert (scale_O <= 2 * np.abs(weight_OI).max(axis=1) / 127 * 1.0001).all()


def test_an_output_without_weights_stays_zero():
    rounded_OI, scale_O = round_weight(np.zeros((2, 6)))

    assert not rounded_OI.any()
    assert (scale_O > 0).all()


def test_only_scales_and_biases_are_left_in_floating_point(tmp_path):
    files = write_graphs(PLAN, random_weights(PLAN, sizes=WIDE), tmp_path, "int8")

    shapes = {name: x.shape for name, x in tensors_of(files) if x.dtype == np.float32}

    assert {len(shape) for shape in shapes.values()} <= {0, 1}


def test_rounded_weights_take_a_quarter_of_the_space(tmp_path):
    sizes = {}
    for precision in ("fp32", "int8"):
        folder = tmp_path / precision
        folder.mkdir()
        files = write_graphs(PLAN, random_weights(PLAN, sizes=WIDE), folder, precision)
        sizes[precision] = files.weights.stat().st_size

    assert sizes["int8"] < 0.3 * sizes["fp32"]


@pytest.mark.parametrize(("num_rows", "candidates"), list(product([1, 5], [1, 2, 7])))
def test_best_tokens_are_found_block_by_block(num_rows, candidates, tmp_path):
    graphs = build(PLAN, random_weights(PLAN, sizes=WIDE), tmp_path, "int8")
    random = np.random.default_rng(2)
    lengths_N = np.array([5, 8], np.int32)
    memory, states = graphs.encode(random.integers(3, WIDE.V, (2, 8)), lengths_N)
    rows = [[0] * num_rows, [1] * num_rows], random.integers(3, WIDE.V, (2, num_rows))
    all_scores, all_tokens, *_ = graphs.step(memory, states, *rows, candidates=WIDE.V)

    scores_BC, tokens_BC, *_ = graphs.step(memory, states, *rows, candidates=candidates)

    # 320 tokens are two blocks of 160, so most candidates come from fewer blocks than there are.
    np.testing.assert_array_equal(
        np.sort(all_tokens), np.arange(WIDE.V)[None].repeat(2 * num_rows, 0)
    )
    np.testing.assert_array_equal(scores_BC, all_scores[:, :candidates])
    np.testing.assert_array_equal(tokens_BC, all_tokens[:, :candidates])


def test_a_block_divides_its_vocabulary_if_it_can():
    assert [block_size(size) for size in (8000, 320, 7919, 11)] == [250, 160, None, None]


@pytest.mark.parametrize("plan", PLANS[::3], ids=plan_name)
def test_same_weights_give_the_same_files(plan, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_graphs(plan, random_weights(plan), tmp_path / name, "int8")

    for name in ("encoder.onnx", "step.onnx", "weights.bin"):
        first, second = (tmp_path / run / name for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
