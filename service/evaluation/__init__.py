"""Measure models: translate a test set, score it, sign the score, compare, look closer.

    source -> translator -> hypotheses -> counts of each sentence -> scores, intervals, tests
                                                  ^
                          references -------------'

What sacreBLEU counts in each sentence is counted once; all else is computed from sums of
that. The numbers are those of the `sacrebleu` command for the same lines, and none travels
without its signature. Files, HTTP and settings are not known here.
"""

from service.evaluation.analysis import analyse
from service.evaluation.apart import analyse_apart
from service.evaluation.measurement import Evaluation, evaluate, one_line
from service.evaluation.results import (
    Analysis,
    BleuDetails,
    Bucket,
    Comparison,
    Example,
    MetricResult,
    Significance,
)
from service.evaluation.scorers import ALL_METRICS, MetricName, check_metrics
from service.evaluation.scores import (
    Metric,
    find_nearest,
    score,
    score_sentences,
    score_tokens,
)
from service.evaluation.task import PairedTest, Task

__all__ = [
    "ALL_METRICS",
    "Analysis",
    "BleuDetails",
    "Bucket",
    "Comparison",
    "Evaluation",
    "Example",
    "Metric",
    "MetricName",
    "MetricResult",
    "PairedTest",
    "Significance",
    "Task",
    "analyse",
    "analyse_apart",
    "check_metrics",
    "evaluate",
    "find_nearest",
    "one_line",
    "score",
    "score_sentences",
    "score_tokens",
]
