"""How far back a recurrent layer remembers: sequences in which only the distant past matters.

    delay    the first symbol is one of four, then noise; at the end: which was it?
    adding   numbers between 0 and 1, two of them marked; at the end: what is their sum?

One layer reads the sequence, a linear layer reads its last output. For each delay a new layer is
trained with the same budget; the first delay that it does not hold ends the row.

Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory", sections 5.2 and 5.4, in the forms
of Martens & Sutskever 2011 and Arjovsky et al. 2016 (the adding problem marks one number in each
half); Bengio et al. 1994 for the latch.

Legend beyond `models/README.md`: D inputs of a layer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from training.cells import build_layer
from training.optimisers import clip_gradients
from training.recipe import NetworkRecipe

MemoryTask = Literal["delay", "adding"]
SYMBOLS = 4
"""That are to be remembered; as many others are noise."""
TEST_ROWS = 500
HELD_ACCURACY = 0.95
"""Of `delay`, from which a delay counts as held; chance is 0.25."""
HELD_ERROR = 0.02
"""Squared, of `adding`; who always says 1 has 0.167, a sixth."""
CHECK_STEPS = 50
TEST_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """What every layer may use, whatever its kind."""

    size: int = 32
    steps: int = 600
    rows: int = 32
    rate: float = 0.005
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried: a layer, and how its gradient is kept in bounds."""

    label: str
    network: NetworkRecipe
    """Of which only what concerns a layer is used."""
    clip_norm: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a subject came to at one delay."""

    delay: int
    score: float
    """Accuracy of `delay`, squared error of `adding`, on sequences it was not trained on."""
    is_held: bool
    steps: int
    """Of training; fewer than the budget if it was perfect before."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences and what is to be said of them at the end."""

    x_BTD: Tensor
    answers_B: Tensor


def draw_sequences(
    task: MemoryTask, delay: int, rows: int, random: np.random.Generator
) -> Sequences:
    """Return new sequences whose answer lies at least `delay` steps before the end."""
    return (_draw_delay if task == "delay" else _draw_adding)(delay, rows, random)


def _draw_delay(delay: int, rows: int, random: np.random.Generator) -> Sequences:
    first_B = random.integers(SYMBOLS, size=(rows, 1))
    noise_BT = random.integers(SYMBOLS, 2 * SYMBOLS, size=(rows, delay))
    symbols_BT = torch.from_numpy(np.concatenate([first_B, noise_BT], 1))
    x_BTD = nn.functional.one_hot(symbols_BT, 2 * SYMBOLS).float()
    return Sequences(x_BTD, symbols_BT[:, 0])


def _draw_adding(delay: int, rows: int, random: np.random.Generator) -> Sequences:
    length = delay + delay // 2 + 2
    values_BT = random.random((rows, length))
    marks_BT = np.zeros((rows, length))
    every = np.arange(rows)
    # both lie so far back that the later one is `delay` steps before the end
    last = length - delay
    places = random.permuted(np.tile(np.arange(last), (rows, 1)), axis=1)[:, :2]
    marks_BT[every[:, None], places] = 1
    answers = (values_BT * marks_BT).sum(1)
    x_BTD = torch.from_numpy(np.stack([values_BT, marks_BT], -1)).float()
    return Sequences(x_BTD, torch.from_numpy(answers).float())


class Rememberer(nn.Module):
    """A layer, and what says at the end what it remembers."""

    def __init__(self, task: MemoryTask, network: NetworkRecipe, size: int) -> None:
        super().__init__()
        inputs, outputs = (2 * SYMBOLS, SYMBOLS) if task == "delay" else (2, 1)
        self.layer = build_layer(network.cell, inputs, size, network.cell_options)
        self.answer = nn.Linear(size, outputs)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return what is said after the last step, `logits_BV`."""
        _, state = self.layer(x_BTD)
        return self.answer(state[0])  # type: ignore[no-any-return]


def hold(
    task: MemoryTask,
    subject: Subject,
    delays: Sequence[int],
    budget: MemoryBudget,
    on_held: Callable[[Held], None] = lambda held: None,
) -> list[Held]:
    """Train a subject at each delay, from the shortest on, until it does not hold one."""
    found: list[Held] = []
    for delay in sorted(delays):
        found.append(try_delay(task, subject, delay, budget))
        on_held(found[-1])
        if not found[-1].is_held:
            break
    return found


def try_delay(task: MemoryTask, subject: Subject, delay: int, budget: MemoryBudget) -> Held:
    """Train a new layer at one delay and measure it."""
    torch.manual_seed(budget.seed)
    started = time.perf_counter()
    network = Rememberer(task, subject.network, budget.size)
    random = np.random.default_rng([budget.seed, delay])
    test = draw_sequences(task, delay, TEST_ROWS, np.random.default_rng([TEST_SEED, delay]))
    score, step = measure_memory(task, network, test), 0
    for step in _learn(task, network, subject, delay, random, budget):
        if step % CHECK_STEPS == 0 or step == budget.steps:
            score = measure_memory(task, network, test)
            if _is_held(task, score):
                break
    return Held(delay, score, _is_held(task, score), step, time.perf_counter() - started)


@torch.no_grad()
def measure_memory(task: MemoryTask, network: nn.Module, test: Sequences) -> float:
    """Return the accuracy of `delay`, the mean squared error of `adding`."""
    said_BV = network(test.x_BTD)
    if task == "delay":
        return float((said_BV.argmax(-1) == test.answers_B).float().mean())
    return float((said_BV[:, 0] - test.answers_B).square().mean())


def _is_held(task: MemoryTask, score: float) -> bool:
    return score >= HELD_ACCURACY if task == "delay" else score <= HELD_ERROR


def _learn(
    task: MemoryTask,
    network: nn.Module,
    subject: Subject,
    delay: int,
    random: np.random.Generator,
    budget: MemoryBudget,
) -> Iterator[int]:
    """Yield the number of each step after it was taken."""
    parameters = list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=budget.rate)
    for step in range(1, budget.steps + 1):
        batch = draw_sequences(task, delay, budget.rows, random)
        said_BV = network(batch.x_BTD)
        if task == "delay":
            loss = nn.functional.cross_entropy(said_BV, batch.answers_B)
        else:
            loss = nn.functional.mse_loss(said_BV[:, 0], batch.answers_B)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(parameters, subject.clip_norm, None)
        optimiser.step()
        yield step
