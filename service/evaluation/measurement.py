"""Translate a test set with a model and score the outcome."""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.evaluation.doubts import find_doubts
from service.evaluation.scorers import ALL_METRICS, MetricName, check_metrics
from service.evaluation.scores import Metric, score
from service.evaluation.task import Task, check_counts

if TYPE_CHECKING:  # slow to load, and scores do without
    from service.engine import AnyTranslator, FinishReason, TranslationOptions


_BREAK = re.compile(r"\r\n|\r|\n")
"""What ends a line of a file, for `sacrebleu` and here; no other character does."""


@dataclass(frozen=True)
class Evaluation:
    """What a model did on a test set, and how fast."""

    model: str
    """NAME/VERSION of the bundle."""
    beam: int
    length_penalty: float
    no_repeat_ngram: int
    coverage_penalty: float
    metrics: list[Metric]
    hypotheses: list[str]
    """One line for each source line, in order."""
    truncated: int
    """Translations that were cut at the token limit."""
    stopped: int
    """Translations that were stopped because they only repeated themselves."""
    seconds: float
    """Time of translating, without that of scoring."""
    warnings: list[str]
    """What makes one doubt that the lines are what they should be."""

    @property
    def sentences(self) -> int:
        """Number of source lines, however many sentences each of them held."""
        return len(self.hypotheses)

    @property
    def sentences_per_second(self) -> float:
        """Source lines translated in a second."""
        return self.sentences / self.seconds

    def fields(self) -> dict[str, object]:
        """Return everything but the hypotheses, for JSON."""
        fields = dataclasses.asdict(self)
        del fields["hypotheses"]
        return fields | {
            "sentences": self.sentences,
            "sentences_per_second": self.sentences_per_second,
        }


def evaluate(
    translator: "AnyTranslator",
    source: Iterable[str],
    references: Sequence[Sequence[str]],
    options: "TranslationOptions",
    on_progress: Callable[[int], None] = lambda done: None,
    metrics: Sequence[MetricName] = ALL_METRICS,
) -> Evaluation:
    """Translate every source line and score the outcome.

    Blocks until all is done. Counts are compared before anything is translated.

    Args:
        on_progress: Told the number of finished lines after each of them.

    Raises:
        InvalidRequest: as for `score`.
    """
    lines = list(source)
    check_counts(len(lines), "source lines", references)
    check_metrics(metrics, translator.target)  # a missing tokenizer must not show up an hour later
    hypotheses: list[str] = []
    reasons: Counter[FinishReason] = Counter()
    started = time.perf_counter()
    for translation in translator.translate_all(lines, options):
        hypotheses.append(one_line(translation.text))
        reasons[translation.finish_reason] += 1
        on_progress(len(hypotheses))
    seconds = time.perf_counter() - started
    task = Task(lines, references, hypotheses, None, translator.target, metrics, resamples=0)
    beam, penalty = options.beam, options.length_penalty
    return Evaluation(
        model=translator.model,
        beam=translator.defaults.beam if beam is None else beam,
        length_penalty=translator.defaults.length_penalty if penalty is None else penalty,
        no_repeat_ngram=options.no_repeat_ngram,
        coverage_penalty=options.coverage_penalty,
        metrics=score(hypotheses, references, translator.target, metrics),
        hypotheses=hypotheses,
        truncated=reasons["length"],
        stopped=reasons["repetition"],
        seconds=seconds,
        warnings=find_doubts(task),
    )


def one_line(text: str) -> str:
    """Return a translation as a line: a break that a model spells out would shift all after it.

    Nothing else is changed, for what is scored is what a caller of the model gets.
    """
    return _BREAK.sub(" ", text)
