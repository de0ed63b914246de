"""What an analysis finds: the part of a report that is about translations and their scores."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from service.evaluation.scorers import MetricName

TestName = Literal["paired_bootstrap", "approximate_randomisation"]
BucketKind = Literal["source_length", "reference_length"]

Interval = tuple[float, float]
"""The lowest and the highest value of 95 %."""


class Result(BaseModel):
    """A part of an analysis; it never changes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


class BleuDetails(Result):
    """What BLEU was computed from."""

    precisions: list[float]
    """Of n-grams of one to four words, in percent."""
    brevity_penalty: float
    """1 where the hypotheses are as long as the references, less where they are shorter."""
    ratio: float
    """Length of the hypotheses by that of the references."""
    hypothesis_length: int
    """In words, as BLEU splits them."""
    reference_length: int
    """In words; of several references that which is nearest in length."""


class MetricResult(Result):
    """One score of the whole test set, with the circumstances it was taken under."""

    metric: MetricName
    name: str
    """As sacreBLEU writes it: BLEU, chrF2, chrF2++, TER."""
    score: float
    """0 to 100; TER counts edits, so less is better and 100 is no bound."""
    signature: str
    """sacreBLEU's own, in full."""
    interval: Interval | None
    """Of 95 %, by bootstrap: sacreBLEU's mean less and plus what it prints after `±`."""
    details: BleuDetails | None
    """Of BLEU only."""


class Significance(Result):
    """How often chance alone makes a difference as large as the one found."""

    test: TestName
    p_value: float
    """As sacreBLEU computes it; 1 where the metric sees no difference in any sentence."""
    samples: int
    """Resamples or trials."""
    signature: str
    """sacreBLEU's own, of both scores in this test."""


class Comparison(Result):
    """One score beside that of the baseline, for the same sentences."""

    metric: MetricName
    name: str
    score: float
    baseline_score: float
    baseline_interval: Interval | None
    delta: float
    """Score less that of the baseline; of TER, less than 0 is better."""
    tests: list[Significance]


class Bucket(Result):
    """The sentences of like length, and the scores of them together."""

    by: BucketKind
    low: int
    """The fewest words of a sentence in it."""
    high: int | None
    """The most words, if there is a bound."""
    sentences: int
    bleu: float
    chrf: float
    baseline_bleu: float | None
    baseline_chrf: float | None


class Example(Result):
    """One sentence, with its own scores."""

    index: int
    """Of its line, counted from 0."""
    source: str | None
    reference: str
    """The first, where there are several; the scores know all of them."""
    hypothesis: str
    baseline: str | None
    bleu: float
    """Of this sentence, smoothed."""
    chrf: float
    baseline_bleu: float | None
    baseline_chrf: float | None


class Analysis(Result):
    """All that is found in hypotheses and their references."""

    metrics: list[MetricResult]
    comparison: list[Comparison]
    """One for each metric, if there is a baseline."""
    buckets: list[Bucket]
    """By length, shortest first; those without a sentence are left out."""
    worst: list[Example]
    """Sentences of the lowest chrF, lowest first; none that equals a reference."""
    changed: list[Example]
    """Sentences whose chrF is farthest from the baseline's, farthest first."""
    identical: int | None
    """Lines that equal the baseline's."""
    empty: int
    """Hypotheses without a word."""
    warnings: list[str]
    """What makes one doubt that the lines are what they should be."""
