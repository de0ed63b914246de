"""Scores of hypotheses that are there already: of all of them, of each, and of the best of some."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.evaluation.resampling import interval, resample
from service.evaluation.scorers import (
    ALL_METRICS,
    MetricName,
    Scorer,
    make_scorer,
    make_token_scorer,
)
from service.evaluation.task import SEED, check_counts


@dataclass(frozen=True)
class Metric:
    """One score of a whole test set, with the circumstances it was taken under."""

    name: str
    """As sacreBLEU writes it: BLEU, chrF2, TER."""
    score: float
    """0 to 100; TER counts edits, so less is better and 100 is no bound."""
    signature: str
    """sacreBLEU's own, in full."""
    interval: float | None = None
    """Half the width of the 95 % interval, if it was asked for; the signature tells its seed."""


def score(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    target: str,
    metrics: Sequence[MetricName] = ALL_METRICS,
    resamples: int = 0,
) -> list[Metric]:
    """Score hypotheses as the `sacrebleu` command would.

    Args:
        references: One whole list of lines for each set of references.
        target: Language of both; BLEU's tokenizer follows it.
        resamples: Of the bootstrap that finds the intervals; without it there are none.

    Raises:
        InvalidRequest: there is nothing to score, the counts differ, or the package that
            splits the target language into words is not installed.
    """
    check_counts(len(hypotheses), "hypotheses", references)
    scorers = [make_scorer(name, target) for name in metrics]
    return [_measure(scorer, hypotheses, references, resamples) for scorer in scorers]


def score_tokens(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], resamples: int = 0
) -> Metric:
    """Return BLEU of lines that are tokenised: what white space separates is compared as it is.

    Raises:
        InvalidRequest: there is nothing to score, or the counts differ.
    """
    check_counts(len(hypotheses), "hypotheses", references)
    return _measure(make_token_scorer(), hypotheses, references, resamples)


def score_sentences(
    hypotheses: Sequence[str], references: Sequence[str], target: str, metric: MetricName
) -> list[float]:
    """Return the score of each hypothesis beside its own reference.

    BLEU counts n-grams as long as there are some and smooths the others, for sentences are short.

    Raises:
        InvalidRequest: the package that splits the target language into words is not installed.
    """
    if not hypotheses:
        return []
    scorer = make_scorer(metric, target)
    return scorer.score_sentences(scorer.count(hypotheses, [references]))


def find_nearest(
    hypotheses: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    target: str,
    metric: MetricName,
) -> list[int]:
    """Return for each sentence which of its hypotheses is nearest to a reference of it.

    Of equally near ones it is the first. BLEU counts n-grams as long as there are some and
    smooths the others, for sentences are short.

    Args:
        references: For each sentence, any number of its translations.

    Raises:
        InvalidRequest: the package that splits the target language into words is not installed.
    """
    scorer = make_scorer(metric, target)
    nearest: list[int] = []
    for own, known in zip(hypotheses, references, strict=True):
        scores = scorer.score_sentences(scorer.count(own, [[line] * len(own) for line in known]))
        nearest.append(scores.index(max(scores)))
    return nearest


def _measure(
    scorer: Scorer,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    resamples: int,
) -> Metric:
    counts = scorer.count(hypotheses, references)
    score = scorer.score(counts.sum(axis=0).tolist())
    if not resamples:
        return Metric(scorer.name, score, scorer.signature(len(references)))
    [scores] = resample([(scorer, counts)], resamples, SEED)
    low, high = interval(scores)
    signature = scorer.signature(len(references), bs=resamples, seed=SEED)
    return Metric(scorer.name, score, signature, (high - low) / 2)
