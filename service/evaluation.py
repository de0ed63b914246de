"""Measure a model: translate a test set with it and score the result.

    source -> translator -> hypotheses -> sacreBLEU <- references
                                              |
                                       BLEU, chrF2, TER

The numbers are those of the `sacrebleu` command for the same lines, and none travels
without its signature. Files, HTTP and settings are not known here.
"""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from service.engine import AnyTranslator, FinishReason, TranslationOptions
from service.errors import InvalidRequest

MetricName = Literal["bleu", "chrf", "ter"]

ALL_METRICS: tuple[MetricName, ...] = ("bleu", "chrf", "ter")


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
    """Half the width of the 95 % interval, if it was asked for and the lines allow one; the
    signature tells its seed."""


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
    _check_counts(len(hypotheses), "hypotheses", references)
    scorers = [_scorer(name, target) for name in metrics]
    return [_measure(scorer, hypotheses, references, resamples) for scorer in scorers]


def score_tokens(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], resamples: int = 0
) -> Metric:
    """Return BLEU of lines that are tokenised: what white space separates is compared as it is.

    Raises:
        InvalidRequest: there is nothing to score, or the counts differ.
    """
    _check_counts(len(hypotheses), "hypotheses", references)
    return _measure(BLEU(tokenize="none", force=True), hypotheses, references, resamples)


def evaluate(
    translator: AnyTranslator,
    source: Iterable[str],
    references: Sequence[Sequence[str]],
    options: TranslationOptions,
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
    _check_counts(len(lines), "source lines", references)
    _scorer("bleu", translator.target)  # a missing tokenizer must not show up an hour later
    hypotheses: list[str] = []
    reasons: Counter[FinishReason] = Counter()
    started = time.perf_counter()
    for translation in translator.translate_all(lines, options):
        hypotheses.append(_one_line(translation.text))
        reasons[translation.finish_reason] += 1
        on_progress(len(hypotheses))
    seconds = time.perf_counter() - started
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
    )


def score_sentences(
    hypotheses: Sequence[str], references: Sequence[str], target: str, metric: MetricName
) -> list[float]:
    """Return the score of each hypothesis beside its own reference.

    BLEU counts n-grams as long as there are some and smooths the others, for sentences are short.

    Raises:
        InvalidRequest: the package that splits the target language into words is not installed.
    """
    scorer = _sentence_scorer(metric, target)
    return [
        float(scorer.sentence_score(own, [known]).score)
        for own, known in zip(hypotheses, references, strict=True)
    ]


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
    scorer = _sentence_scorer(metric, target)
    nearest: list[int] = []
    for own, known in zip(hypotheses, references, strict=True):
        scores = [scorer.sentence_score(each, list(known)).score for each in own]
        nearest.append(scores.index(max(scores)))
    return nearest


def _one_line(text: str) -> str:
    # A line break that a model spells out would shift all lines after it.
    return " ".join(text.splitlines())


def _check_counts(count: int, name: str, references: Sequence[Sequence[str]]) -> None:
    if not count:
        raise InvalidRequest(f"there are no {name}")
    if not references:
        raise InvalidRequest("there is no reference")
    for number, reference in enumerate(references, start=1):
        if len(reference) != count:
            raise InvalidRequest(
                f"reference {number} has {len(reference)} lines for {count} {name}"
            )


def _measure(
    scorer: BLEU | CHRF | TER,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    resamples: int,
) -> Metric:
    result = scorer.corpus_score(hypotheses, references)
    metric = Metric(result.name, float(result.score), str(scorer.get_signature()))
    if not resamples:
        return metric
    try:
        result = scorer.corpus_score(hypotheses, references, n_bootstrap=resamples)
    except TypeError:  # sacreBLEU 2.6 cannot average resamples of which only some score 0
        return metric
    signature = str(scorer.get_signature())
    # only its JSON tells; where every resample scores 0, that says nothing of an interval
    told = json.loads(result.format(width=4, signature=signature, is_json=True))
    interval = float(told.get("confidence_var", 0.0))
    return replace(metric, signature=signature, interval=interval)


def _sentence_scorer(name: MetricName, target: str) -> BLEU | CHRF | TER:
    scorer = _scorer(name, target)
    if isinstance(scorer, BLEU):
        scorer.effective_order = True
    return scorer


def _scorer(name: MetricName, target: str) -> BLEU | CHRF | TER:
    if name == "chrf":
        return CHRF()
    if name == "ter":
        return TER()
    language = target.partition("-")[0].lower()
    try:
        # sacrebleu's own choice by language: zh, ja-mecab, ko-mecab, else 13a
        return BLEU(trg_lang=language)
    except RuntimeError as error:
        raise InvalidRequest(
            f"BLEU for {language} needs the package sacrebleu[{language}]"
        ) from error
