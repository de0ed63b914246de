"""The scores of all lines together: how sure they are, and how they compare with the baseline's."""

from collections.abc import Sequence

import numpy as np

from service.evaluation.counting import Counted
from service.evaluation.resampling import (
    RESAMPLES,
    TRIALS,
    compare_resamples,
    interval,
    randomise,
    resample,
)
from service.evaluation.results import (
    BleuDetails,
    Comparison,
    Interval,
    MetricResult,
    Significance,
    TestName,
)
from service.evaluation.scorers import Scores
from service.evaluation.task import Task

Spread = Sequence[Scores]
"""The scores of all resamples of the hypotheses, and of the baseline for the same draws."""


def spread_scores(task: Task, counted: Sequence[Counted]) -> list[Spread]:
    """Score resamples, if the task asks for anything that is found by them: else nothing."""
    resamples = task.resamples
    if not resamples and task.baseline is not None and task.paired in {"bootstrap", "both"}:
        resamples = RESAMPLES
    if not resamples or not counted:
        return [[] for _ in counted]
    tables = [(each.scorer, table) for each in counted for table in each.tables]
    scores = resample(tables, resamples, task.seed)
    systems = len(counted[0].tables)
    return [scores[first : first + systems] for first in range(0, len(scores), systems)]


def summarise(task: Task, counted: Counted, spread: Spread) -> MetricResult:
    """Return the score of the hypotheses, with its interval if the task asks for one."""
    circumstances = {"bs": task.resamples, "seed": task.seed} if task.resamples else {}
    return MetricResult(
        metric=counted.metric,
        name=counted.scorer.name,
        score=counted.score()[0],
        signature=counted.scorer.signature(len(task.references), **circumstances),
        interval=_interval(task, spread, 0),
        details=_explain(counted),
    )


def compare(task: Task, counted: Sequence[Counted], spreads: Sequence[Spread]) -> list[Comparison]:
    """Return the scores beside those of the baseline, if there is one."""
    if task.baseline is None:
        return []
    tests: list[list[Significance]] = [[] for _ in counted]
    if task.paired in {"bootstrap", "both"}:
        for each, one, spread in zip(tests, counted, spreads, strict=True):
            each.append(_bootstrap(task, one, spread))
    if task.paired in {"randomisation", "both"}:
        for each, found in zip(tests, _randomise(task, counted), strict=True):
            each.append(found)
    return [_compare(task, *each) for each in zip(counted, spreads, tests, strict=True)]


def _compare(task: Task, counted: Counted, spread: Spread, tests: list[Significance]) -> Comparison:
    score, baseline_score = counted.score()
    assert baseline_score is not None
    return Comparison(
        metric=counted.metric,
        name=counted.scorer.name,
        score=score,
        baseline_score=baseline_score,
        baseline_interval=_interval(task, spread, 1),
        delta=score - baseline_score,
        tests=tests,
    )


def _bootstrap(task: Task, counted: Counted, spread: Spread) -> Significance:
    own, baseline = spread
    difference = _difference(counted)
    p_value = compare_resamples(own, baseline, difference)
    return _significance(task, counted, "paired_bootstrap", p_value, len(own))


def _randomise(task: Task, counted: Sequence[Counted]) -> list[Significance]:
    systems = [(each.scorer, each.tables[0], each.tables[1]) for each in counted]
    p_values = randomise(systems, TRIALS, task.seed)
    return [
        _significance(task, each, "approximate_randomisation", p_value, TRIALS)
        for each, p_value in zip(counted, p_values, strict=True)
    ]


def _significance(
    task: Task, counted: Counted, test: TestName, p_value: float, samples: int
) -> Significance:
    own, baseline = counted.tables
    if np.array_equal(own, baseline):
        # sacreBLEU gives the least p there is, for no resample strays farther than not at all
        p_value = 1.0
    key = "bs" if test == "paired_bootstrap" else "ar"
    return Significance(
        test=test,
        p_value=p_value,
        samples=samples,
        signature=counted.scorer.signature(
            len(task.references), **{key: samples, "seed": task.seed}
        ),
    )


def _difference(counted: Counted) -> float:
    score, baseline_score = counted.score()
    assert baseline_score is not None
    return abs(score - baseline_score)


def _interval(task: Task, spread: Spread, system: int) -> Interval | None:
    return interval(spread[system]) if task.resamples else None


def _explain(counted: Counted) -> BleuDetails | None:
    bleu = counted.scorer.explain(counted.tables[0].sum(axis=0).tolist())
    if bleu is None:
        return None
    return BleuDetails(
        precisions=[float(precision) for precision in bleu.precisions],
        brevity_penalty=float(bleu.bp),
        ratio=float(bleu.ratio),
        hypothesis_length=bleu.sys_len,
        reference_length=bleu.ref_len,
    )
