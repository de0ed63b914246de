"""Learning to Execute as an experiment: its texts by curriculum, and its accuracy by difficulty.

Two accuracies are told. Of characters: the network's own, each predicted behind the right ones
before it, as in the paper; the end counts as one, the space that SentencePiece begins with does
not. Of programs: through the exported bundle and the service's engine, every character right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from models.tokenizer import BOS, EOS, Tokenizer
from training.batches import make_batch
from training.kinds import CellKind
from training.laboratory.accuracy import Accuracy, accuracy_of, ask
from training.laboratory.curricula import Curriculum, Lesson, all_up_to, plan
from training.laboratory.experiment import TEXTS, Budget, Experiment, write_recipe
from training.laboratory.programs import Difficulty, draw_execution
from training.laboratory.tasks import Pair
from training.laboratory.texts import Part, draw_part, read_pairs_of, write_pairs
from training.markdown import Table
from training.network import Network
from training.plots import Grid, draw_grids
from training.prepare import Prepared
from training.run import Run
from training.trainer import load_best

EPOCHS = 10
"""That a curriculum is spread over."""
HELD_OUT = 400
"""Programs of each difficulty that are asked, and of the hardest for dev."""
ROWS = 100
MARKS = 2
"""EOS and the space before the first character."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Programs to be executed, learnt in an order."""

    cell: CellKind
    target: Difficulty
    curriculum: Curriculum
    budget: Budget
    """Its pairs are those of an epoch; its steps are found from what the epochs read."""
    network: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExecutionScores:
    """What was learnt, on programs that no training text holds."""

    characters: dict[tuple[int, int], Accuracy]
    """By nesting and length."""
    programs: dict[tuple[int, int], Accuracy]


def open_execution(execution: Execution, runs: Path) -> Run:
    """Draw the programs of an execution and write its recipe; return its run."""
    target, budget = execution.target, execution.budget
    lessons = plan(execution.curriculum, target, EPOCHS)
    drawn = [draw_part(each.draw, "train", _count(each, budget), budget.seed) for each in lessons]
    steps = _count_steps(lessons, drawn, budget)
    experiment = Experiment(
        "execute",
        execution.cell,
        target.length,
        replace(budget, steps=steps),
        execution.network,
        variant=f"nesting-{target.nesting}-{execution.curriculum}",
    )
    folder = runs / experiment.name
    trained = []
    for i, (lesson, pairs) in enumerate(zip(lessons, drawn, strict=True)):
        tsv = f"{TEXTS}/lesson-{i}.tsv"
        write_pairs(folder / tsv, pairs)
        epochs = {} if lesson.epochs is None else {"epochs": list(lesson.epochs)}
        trained.append({"name": lesson.name, "tsv": tsv, **epochs})
    write_pairs(folder / TEXTS / "dev.tsv", _held_out(target, "dev", budget.seed))
    tests = [_held_out(each, "test", budget.seed) for each in all_up_to(target)]
    for difficulty, pairs in zip(all_up_to(target), tests, strict=True):
        write_pairs(_test_file(folder, difficulty), pairs)
    write_pairs(folder / TEXTS / "test.tsv", tests[-1])
    return write_recipe(experiment, trained, folder)


def _count(lesson: Lesson, budget: Budget) -> int:
    return round(lesson.share * budget.pairs)


def _held_out(difficulty: Difficulty, part: Part, seed: int) -> list[Pair]:
    return draw_part(lambda random: draw_execution(random, difficulty), part, HELD_OUT, seed)


def _test_file(folder: Path, difficulty: Difficulty) -> Path:
    return folder / TEXTS / f"test-{difficulty.length}-{difficulty.nesting}.tsv"


def _count_steps(lessons: Sequence[Lesson], drawn: Sequence[Sequence[Pair]], budget: Budget) -> int:
    """Return how many batches the epochs are; padding is little."""
    tokens = 0
    for lesson, pairs in zip(lessons, drawn, strict=True):
        size = sum(len(source) + MARKS for source, _ in pairs)
        epochs = [e for e in range(EPOCHS) if _reads(lesson, e)]
        tokens += size * len(epochs)
    return max(2, tokens // budget.batch_tokens)


def _reads(lesson: Lesson, epoch: int) -> bool:
    if lesson.epochs is None:
        return True
    first, last = lesson.epochs
    return first <= epoch and (last < 0 or epoch <= last)


def measure_execution(run: Run, bundle: Path, target: Difficulty) -> ExecutionScores:
    """Return both accuracies of every difficulty up to the target."""
    network, *_ = load_best(run)
    tokenizer = Prepared(run).tokenizer
    characters: dict[tuple[int, int], Accuracy] = {}
    programs: dict[tuple[int, int], Accuracy] = {}
    for difficulty in all_up_to(target):
        pairs = read_pairs_of(_test_file(run.corpora, difficulty))
        key = difficulty.nesting, difficulty.length
        characters[key] = count_characters(network, tokenizer, pairs)
        programs[key] = accuracy_of(ask(bundle, pairs))
    return ExecutionScores(characters, programs)


@torch.no_grad()
def count_characters(network: Network, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> Accuracy:
    """Return how many characters of the answers are predicted right behind the right ones."""
    right = total = 0
    device = next(network.parameters()).device
    for start in range(0, len(pairs), ROWS):
        part = pairs[start : start + ROWS]
        batch = make_batch(
            [[*tokenizer.encode(source), EOS] for source, _ in part],
            [[BOS, *tokenizer.encode(target), EOS] for _, target in part],
            device,
        )
        logits_BTV = network.logits(batch.source_BS, batch.lengths_B, batch.target_BT[:, :-1])
        # behind BOS comes the space that every text begins with
        said_BT, wanted_BT = logits_BTV.argmax(-1)[:, 1:], batch.target_BT[:, 2:]
        is_there_BT = wanted_BT != 0
        right += int(((said_BT == wanted_BT) & is_there_BT).sum())
        total += int(is_there_BT.sum())
    return Accuracy(right, total)


def tabulate_execution(scores: ExecutionScores) -> Table:
    """Return one row for each difficulty."""
    rows = [
        (
            str(length),
            str(nesting),
            f"{scores.programs[nesting, length].all:,}",
            f"{100 * scores.characters[nesting, length].share:.1f}",
            f"{100 * scores.programs[nesting, length].share:.1f}",
        )
        for nesting, length in scores.programs
    ]
    header = ("length", "nesting", "held-out programs", "characters right, %", "programs right, %")
    return Table(header, rows, len(header))


def draw_execution_scores(path: Path, scores: ExecutionScores, title: str) -> None:
    """Write the picture: both accuracies by length and nesting."""
    nestings = sorted({nesting for nesting, _ in scores.programs})
    lengths = sorted({length for _, length in scores.programs})
    grids = []
    for name, found in (("characters", scores.characters), ("programs", scores.programs)):
        values = [
            [100 * found[nesting, length].share for length in lengths] for nesting in nestings
        ]
        grids.append(
            Grid(
                f"{title}: {name} right, %",
                np.array(values),
                [str(nesting) for nesting in nestings],
                [str(length) for length in lengths],
                x_label="length",
                y_label="nesting",
                limits=(0, 100),
                has_numbers=True,
            )
        )
    draw_grids(path, grids, columns=2)
