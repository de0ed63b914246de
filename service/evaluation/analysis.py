"""One look at everything: count the sentences, then score, compare, sort and doubt."""

from service.evaluation.buckets import find_buckets
from service.evaluation.comparison import compare, spread_scores, summarise
from service.evaluation.counting import count
from service.evaluation.doubts import find_doubts
from service.evaluation.examples import find_changed, find_worst
from service.evaluation.results import Analysis
from service.evaluation.scorers import MetricName, Scorer, make_close_scorer, make_scorer
from service.evaluation.task import Task, check_task


def analyse(task: Task) -> Analysis:
    """Score hypotheses, compare them with a baseline, and look at single sentences.

    Raises:
        InvalidRequest: there is nothing to score, counts differ, or the package that splits
            the target language into words is not installed.
    """
    check_task(task)
    scorers = {name: make_scorer(name, task.target) for name in task.metrics}
    close_scorer, doubts = make_close_scorer(task.target)
    # for a closer look, whether they are asked for or not
    close_scorers: dict[MetricName, Scorer] = {
        "bleu": close_scorer,
        "chrf": make_scorer("chrf", task.target),
    }
    every = {name: count(task, name, scorer) for name, scorer in (close_scorers | scorers).items()}
    bleu, chrf = every["bleu"], every["chrf"]
    counted = [every[name] for name in scorers]
    spreads = spread_scores(task, counted)
    return Analysis(
        metrics=[summarise(task, *each) for each in zip(counted, spreads, strict=True)],
        comparison=compare(task, counted, spreads),
        buckets=find_buckets(task, bleu, chrf),
        worst=find_worst(task, bleu, chrf),
        changed=find_changed(task, bleu, chrf),
        identical=_count_identical(task),
        empty=sum(not line.strip() for line in task.hypotheses),
        warnings=[*find_doubts(task), *doubts],
    )


def _count_identical(task: Task) -> int | None:
    if task.baseline is None:
        return None
    return sum(own == other for own, other in zip(task.hypotheses, task.baseline, strict=True))
