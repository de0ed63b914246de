"""The metrics of sacreBLEU: what they count in a sentence, and what they make of the sums.

The only caller of sacreBLEU. Its own door, `corpus_score`, counts all sentences anew for every
question and keeps the n-grams of all references in memory. Here the sentences are counted
once, some at a time, and what is kept are a few numbers for each.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Score
from sacrebleu.metrics.bleu import BLEU, BLEUScore
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from service.errors import InvalidRequest

MetricName = Literal["bleu", "chrf", "chrf++", "ter"]

ALL_METRICS: tuple[MetricName, ...] = ("bleu", "chrf", "ter")
"""What is measured where nothing else is asked for."""

LINES_AT_ONCE = 1_000
"""Counted together; chrF holds some 50 kB of n-grams for each reference meanwhile."""

Counts = NDArray[np.float64]
"""What a metric counts: a row for each sentence, whole numbers but for TER's mean lengths."""

Scores = NDArray[np.floating]
"""One of each resample."""


class Scorer:
    """One metric of sacreBLEU, with its usual parameters, for one target language."""

    def __init__(self, metric: BLEU | CHRF | TER) -> None:
        self._metric = metric

    @property
    def name(self) -> str:
        """As sacreBLEU writes it: BLEU, chrF2, chrF2++, TER."""
        if isinstance(self._metric, CHRF):
            return f"chrF{self._metric.beta}{'+' * self._metric.word_order}"
        return type(self._metric).__name__

    def count(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Count in each sentence what the scores are computed from."""
        parts = []
        for start in range(0, len(hypotheses), LINES_AT_ONCE):
            lines = slice(start, start + LINES_AT_ONCE)
            known = [reference[lines] for reference in references]
            counted = self._metric._extract_corpus_statistics(hypotheses[lines], known)
            parts.append(np.array(counted, np.float64))
        return np.concatenate(parts)

    def score(self, sums: Sequence[float]) -> float:
        """Return the score of sentences whose counts come to these sums."""
        return float(self._compute(sums).score)

    def score_resamples(self, sums: Counts) -> Scores:
        """Return the score of each row of sums, in the precision that sacreBLEU computes it in.

        That is single precision, and a p-value would differ in its last digit in any other.
        """
        return np.array([self._compute(row).score for row in sums.astype(np.float32)])

    def score_sentences(self, counts: Counts) -> list[float]:
        """Return the score of each sentence alone.

        BLEU counts n-grams as long as there are some and smooths the others, for sentences are
        short.
        """
        if isinstance(self._metric, BLEU):
            return [_sentence_bleu(row) for row in counts.tolist()]
        return [self.score(row) for row in counts.tolist()]

    def explain(self, sums: Sequence[float]) -> BLEUScore | None:
        """Return what BLEU is made of; nothing for other metrics."""
        score = self._compute(sums)
        return score if isinstance(score, BLEUScore) else None

    def signature(self, num_references: int, **circumstances: int) -> str:
        """Return sacreBLEU's signature.

        Args:
            circumstances: `bs` or `ar`, the number of resamples or trials, and `seed`.
        """
        self._metric.num_refs = num_references
        signature = self._metric.get_signature()
        for key, value in circumstances.items():
            signature.update(key, value)
        return str(signature)

    def _compute(self, sums: Any) -> Score:  # noqa: ANN401  # sacreBLEU's own types say less
        return self._metric._compute_score_from_stats(sums)


def make_scorer(name: MetricName, target: str) -> Scorer:
    """Make the scorer that the `sacrebleu` command would use for this language.

    Raises:
        InvalidRequest: the package that splits the target language into words is not installed.
    """
    if name == "chrf":
        return Scorer(CHRF())
    if name == "chrf++":
        return Scorer(CHRF(word_order=2))
    if name == "ter":
        return Scorer(TER())
    language = target.partition("-")[0].lower()
    try:
        # sacrebleu's own choice by language: zh, ja-mecab, ko-mecab, else 13a
        return Scorer(BLEU(trg_lang=language, force=True))
    except RuntimeError as error:
        raise InvalidRequest(
            f"BLEU for {language} needs the package sacrebleu[{language}]"
        ) from error


def check_metrics(metrics: Sequence[MetricName], target: str) -> None:
    """Refuse metrics that cannot be computed for a language, before anything is translated.

    Raises:
        InvalidRequest: as for `make_scorer`.
    """
    for metric in metrics:
        make_scorer(metric, target)


def make_close_scorer(target: str) -> tuple[Scorer, list[str]]:
    """Make a BLEU to look at single lines with, whatever is installed for the language.

    Returns: The scorer; and a sentence if it is not the one that lines together are scored by.
    """
    try:
        return make_scorer("bleu", target), []
    except InvalidRequest as missing:
        doubt = f"{missing}: BLEU of single lines and by length counts characters instead."
        return Scorer(BLEU(tokenize="char", force=True)), [doubt]


def make_token_scorer() -> Scorer:
    """Make a BLEU that compares what white space separates as it is."""
    return Scorer(BLEU(tokenize="none", force=True))


def _sentence_bleu(row: Sequence[float]) -> float:
    counts = list(map(int, row))
    return BLEU.compute_bleu(
        correct=counts[2:6],
        total=counts[6:],
        sys_len=counts[0],
        ref_len=counts[1],
        smooth_method="exp",
        effective_order=True,
    ).score
