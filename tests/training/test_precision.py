import pytest
import torch

from training.precision import autocast, choose_precision, list_halves

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_precision_of_the_recipe_is_taken_as_it_is(precision, toy):
    run = toy.open(training__precision=precision)

    assert choose_precision(run.recipe, CPU) == precision


def test_trying_draws_no_random_numbers_of_the_training(toy):
    run = toy.open(training__precision="auto")
    before = torch.get_rng_state()

    chosen = choose_precision(run.recipe, CPU)

    assert chosen in {"fp32", "bf16"}
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_products_are_computed_in_the_precision(precision, dtype):
    with autocast(CPU, precision):
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == dtype


@pytest.mark.parametrize(
    ("device", "cudnn", "halves"),
    [
        ("cpu", None, ["bf16"]),
        ("cuda", None, ["fp16"]),
        ("cuda", 91200, ["fp16"]),
        ("cuda", 91300, ["bf16", "fp16"]),
    ],
)
def test_bf16_is_tried_on_a_gpu_only_where_recurrent_kernels_know_it(device, cudnn, halves):
    assert list_halves(torch.device(device), cudnn) == halves
