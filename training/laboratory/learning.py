"""A task learnt from its text to the answers of the exported bundle, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.history import read_metrics
from training.laboratory.accuracy import Accuracy, Answer, accuracy_of, group
from training.laboratory.tasks import TASKS, length_of
from training.markdown import Table
from training.plots import Curve, Panel, draw_panels
from training.run import Run

PICTURE = "laboratory.png"
WRONG = 5
"""Wrong answers that are shown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task came to, on sources that no training text holds."""

    task: str
    answers: Sequence[Answer]

    @property
    def accuracy(self) -> Accuracy:
        """Of all answers."""
        return accuracy_of(self.answers)

    @property
    def by_length(self) -> dict[int, Accuracy]:
        """The same for each length of a source."""
        return group(self.answers, lambda answer: length_of(answer.source))

    @property
    def wrong(self) -> list[Answer]:
        """A few answers that are not right."""
        return [answer for answer in self.answers if not answer.is_right][:WRONG]


def tabulate_lengths(outcome: Outcome) -> Table:
    """Return how many answers are right, by length."""
    measure = TASKS[outcome.task].measured_in
    rows = [
        (str(length), f"{each.all:,}", f"{100 * each.share:.1f}")
        for length, each in outcome.by_length.items()
    ]
    total = outcome.accuracy
    rows.append(("all", f"{total.all:,}", f"{100 * total.share:.1f}"))
    return Table((measure, "held-out questions", "exactly right, %"), rows, 3)


def draw_outcome(outcome: Outcome, run: Run) -> Path:
    """Write a picture of how it was learnt and what is right; return where."""
    lines = read_metrics(run)
    steps = [line["step"] for line in lines]
    lengths = outcome.by_length
    panels = [
        Panel(
            f"{outcome.task}, {run.recipe.network.cell}: while it learnt",
            "step",
            "dev answers exactly right, %",
            [Curve("", steps, [line["dev_exact"] for line in lines])],
            limits=(-3, 103),
        ),
        Panel(
            f"through the exported bundle: {100 * outcome.accuracy.share:.1f} %",
            TASKS[outcome.task].measured_in,
            "held-out answers exactly right, %",
            [Curve("", list(lengths), [100 * each.share for each in lengths.values()])],
            limits=(-3, 103),
            has_whole_x=True,
        ),
    ]
    path = run.folder / PICTURE
    draw_panels(path, panels)
    return path
