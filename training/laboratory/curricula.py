"""In which order difficulties are learnt: the four curricula of Learning to Execute.

    baseline   the difficulty that is wanted, from the first step on
    naive      longer numbers at a time, then one operation more and from short numbers again
    mix        all difficulties up to it at once, drawn evenly
    combined   both: four fifths of each stage of naive, one fifth of mix, all the time

A stage is a training text that some epochs read (`corpus.train.epochs`), so one run learns them
all. The paper goes on when learning stops; here every stage has the same share of the steps,
which makes the curricula equally long.

Source: Zaremba & Sutskever 2014, section 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.laboratory.programs import Difficulty, draw_execution
from training.laboratory.tasks import Pair
from training.text_recipe import TO_THE_END

Curriculum = Literal["baseline", "naive", "mix", "combined"]
MIXED_SHARE = 0.2
"""Of `combined`, that is mixed (the authors' code: one batch in five)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A training text and the epochs that read it."""

    name: str
    difficulties: Sequence[Difficulty]
    """Of which each program has one, drawn evenly."""
    share: float
    """Of the pairs of an epoch."""
    epochs: tuple[int, int] | None = None

    def draw(self, random: np.random.Generator) -> Pair:
        """Return a program and what it prints."""
        return draw_execution(random, draw_from(self.difficulties, random))


def all_up_to(target: Difficulty) -> list[Difficulty]:
    """Return every difficulty that is nowhere above another, from the easiest on."""
    return [
        Difficulty(length, nesting)
        for nesting in range(1, target.nesting + 1)
        for length in range(1, target.length + 1)
    ]


def draw_from(difficulties: Sequence[Difficulty], random: np.random.Generator) -> Difficulty:
    """Return one of them, each as likely."""
    return difficulties[int(random.integers(len(difficulties)))]


def plan(curriculum: Curriculum, target: Difficulty, epochs: int) -> list[Lesson]:
    """Return the training texts of a curriculum over so many epochs."""
    mixed = Lesson("mix", all_up_to(target), 1.0)
    if curriculum == "mix":
        return [mixed]
    if curriculum == "baseline":
        return [Lesson("baseline", [target], 1.0)]
    stages = all_up_to(target)
    share = 1.0 if curriculum == "naive" else 1 - MIXED_SHARE
    borders = [epochs * i // len(stages) for i in range(len(stages) + 1)]
    lessons = [
        Lesson(f"length {stage.length}, nesting {stage.nesting}", [stage], share, (first, last - 1))
        for stage, first, last in zip(stages, borders, borders[1:], strict=False)
        if first < last
    ]
    final = lessons[-1]
    first = final.epochs[0] if final.epochs else 0
    lessons[-1] = Lesson(final.name, final.difficulties, final.share, (first, TO_THE_END))
    if curriculum == "combined":
        lessons.append(Lesson("mix", mixed.difficulties, MIXED_SHARE))
    return lessons
