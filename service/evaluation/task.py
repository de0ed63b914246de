"""What is to be analysed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.errors import InvalidRequest
from service.evaluation.scorers import ALL_METRICS, MetricName

PairedTest = Literal["bootstrap", "randomisation", "both", "none"]

SEED = 12345
"""sacreBLEU's default."""


@dataclass(frozen=True)
class Task:
    """Hypotheses to score and to compare; all lists are of the same number of lines."""

    source: Sequence[str] | None
    references: Sequence[Sequence[str]]
    """One whole list of lines for each set of references."""
    hypotheses: Sequence[str]
    baseline: Sequence[str] | None
    """Other hypotheses for the same source, to compare with."""
    target: str
    """Language of all but the source; BLEU's tokenizer follows it."""
    metrics: Sequence[MetricName] = ALL_METRICS
    resamples: int = 1000
    """Of the bootstrap that finds the intervals; 0 for no intervals."""
    seed: int = SEED
    """Of all random numbers."""
    paired: PairedTest = "bootstrap"
    """How to tell whether a difference to the baseline is due to chance."""
    examples: int = 20
    """How many sentences to show of each kind."""


def check_counts(count: int, name: str, references: Sequence[Sequence[str]]) -> None:
    """Refuse lists of different numbers of lines, and none at all.

    Args:
        count: Number of lines called `name`, which the references have to match.

    Raises:
        InvalidRequest: there is nothing to score, no reference, or the counts differ.
    """
    if not count:
        raise InvalidRequest(f"there are no {name}")
    if not references:
        raise InvalidRequest("there is no reference")
    for number, reference in enumerate(references, start=1):
        if len(reference) != count:
            raise InvalidRequest(
                f"reference {number} has {len(reference)} lines for {count} {name}"
            )


def check_task(task: Task) -> None:
    """Refuse a task whose lists do not fit together.

    Raises:
        InvalidRequest: as for `check_counts`, of the source and of the baseline too.
    """
    count = len(task.hypotheses)
    check_counts(count, "hypotheses", task.references)
    for name, lines in (("the source", task.source), ("the baseline", task.baseline)):
        if lines is not None and len(lines) != count:
            raise InvalidRequest(f"{name} has {len(lines)} lines for {count} hypotheses")
