"""What a metric counts in the sentences of a task, once for all questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.evaluation.scorers import Counts, MetricName, Scorer
from service.evaluation.task import Task

OfBoth = tuple[float, float | None]
"""A score of the hypotheses, and that of the baseline if there is one."""


@dataclass(frozen=True)
class Counted:
    """The counts of one metric: those of the hypotheses, then those of the baseline, if any."""

    metric: MetricName
    scorer: Scorer
    tables: Sequence[Counts]

    def score(self, lines: Sequence[int] | slice = slice(None)) -> OfBoth:
        """Return the score of these lines together."""
        return _of_both(
            [self.scorer.score(table[lines].sum(axis=0).tolist()) for table in self.tables]
        )

    def score_sentence(self, index: int) -> OfBoth:
        """Return the score of one line alone."""
        return _of_both([scores[index] for scores in self.sentences])

    @cached_property
    def sentences(self) -> list[list[float]]:
        """The score of each line alone, for each of the tables."""
        return [self.scorer.score_sentences(table) for table in self.tables]


def count(task: Task, metric: MetricName, scorer: Scorer) -> Counted:
    """Count all lines of a task; the baseline's where they differ."""
    own = scorer.count(task.hypotheses, task.references)
    if task.baseline is None:
        return Counted(metric, scorer, [own])
    pairs = zip(task.hypotheses, task.baseline, strict=True)
    differing = [index for index, (hypothesis, other) in enumerate(pairs) if hypothesis != other]
    baseline = np.copy(own)
    if differing:
        references = [[lines[index] for index in differing] for lines in task.references]
        baseline[differing] = scorer.count(
            [task.baseline[index] for index in differing], references
        )
    return Counted(metric, scorer, [own, baseline])


def _of_both(scores: list[float]) -> OfBoth:
    return scores[0], (scores[1] if len(scores) > 1 else None)
