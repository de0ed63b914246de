"""Sequences in which only the past matters, and layers that do or do not remember it."""

import numpy as np
import pytest
import torch

from training.laboratory.memory import (
    HELD_ERROR,
    SYMBOLS,
    MemoryBudget,
    Sequences,
    Subject,
    draw_sequences,
    hold,
    measure_memory,
    try_delay,
)
from training.laboratory.wishes import Wishes

TINY = MemoryBudget(size=16, steps=300, rows=16, rate=0.01)


def subject(cell="gru"):
    return Wishes("delay", (cell,)).subjects()[0]


def draw(task, delay, rows=200):
    return draw_sequences(task, delay, rows, np.random.default_rng(3))


def test_only_the_first_symbol_of_delay_tells_the_answer():
    drawn = draw("delay", 7)
    symbols = drawn.x_BTD.argmax(-1)

    assert drawn.x_BTD.shape == (200, 8, 2 * SYMBOLS)
    assert torch.equal(symbols[:, 0], drawn.answers_B)
    assert int(symbols[:, 1:].min()) >= SYMBOLS


def test_two_numbers_of_adding_are_marked_and_lie_as_far_back_as_asked_for():
    drawn = draw("adding", 9)
    values, marks = drawn.x_BTD.unbind(-1)

    assert torch.equal(marks.sum(1), torch.full((200,), 2.0))
    assert torch.allclose((values * marks).sum(1), drawn.answers_B, atol=1e-6)
    latest = int(marks.nonzero()[:, 1].max())
    assert marks.shape[1] - latest > 9


class Guesser(torch.nn.Module):
    """Says one thing, whatever it reads."""

    def __init__(self, says):
        super().__init__()
        self.says = torch.tensor(says)

    def forward(self, x_BTD):
        return self.says.expand(len(x_BTD), -1)


def test_scores_of_who_remembers_nothing_are_those_of_chance():
    generator = np.random.default_rng(5)
    many = draw_sequences("adding", 10, 20_000, generator)
    some = draw_sequences("delay", 3, 4000, generator)

    # two numbers between 0 and 1 have a variance of 1/12 each
    assert measure_memory("adding", Guesser([1.0]), many) == pytest.approx(1 / 6, rel=0.03)
    assert measure_memory("delay", Guesser([1.0, 0, 0, 0]), some) == pytest.approx(0.25, abs=0.03)


def test_who_reads_the_mark_makes_no_error():
    class Reader(torch.nn.Module):
        def forward(self, x_BTD):
            return (x_BTD[..., 0] * x_BTD[..., 1]).sum(1, keepdim=True)

    assert measure_memory("adding", Reader(), draw("adding", 20)) < 1e-10 < HELD_ERROR


def test_gru_learns_to_remember_over_a_few_steps_but_not_without_training():
    held = try_delay("delay", subject(), 5, TINY)
    untrained = try_delay("delay", subject(), 5, MemoryBudget(size=16, steps=1))

    assert held.is_held
    assert held.score >= 0.95
    assert not untrained.is_held


def test_longer_delays_are_not_tried_once_one_is_not_held():
    tried = hold("delay", subject(), [60, 4], MemoryBudget(size=16, steps=100, rate=0.01))

    assert [(each.delay, each.is_held) for each in tried] == [(4, True), (60, False)]


def test_same_seed_finds_the_same():
    first, second = (
        try_delay("adding", Subject("gru", subject().network), 4, MemoryBudget(steps=3, seed=7))
        for _ in range(2)
    )

    assert first.score == second.score


def test_sequences_of_one_seed_are_the_same():
    assert isinstance(draw("delay", 3), Sequences)
    assert torch.equal(draw("delay", 3).x_BTD, draw("delay", 3).x_BTD)
