"""Reports of evaluations that never were."""

from datetime import UTC, datetime

from service.evaluation import Bucket, Comparison, Example, MetricResult, Significance
from service.evaluations.report import (
    BaselineInfo,
    Counts,
    DecodeInfo,
    ModelInfo,
    PairInfo,
    Performance,
    Report,
)

NASTY = [
    "<script>document.title = 'owned'</script>",
    "</style><script>document.title = 'owned'</script>",
    '"><img src=x onerror="document.title = \'owned\'">',
    "' onmouseover='document.title = 1' x='",
    "{{ 7 * 7 }} {% raw %} {# none #}",
    "&lt;b&gt; &amp; &#x3c;",
    "<!-- --> <![CDATA[ ]]> </title></dd></dl></html>",
    "\u202egnihton\u202c and \u2066isolated",
    "عربي مع English وعربي",
    "你好吗 世界",
    "https://example.org/" + "a/" * 200,
    "",
    "  wide   spaces\tand tabs ",
]
"""What would do harm or look bad, were it put into a page as it is."""


def significance(p_value: float) -> Significance:
    return Significance(test="paired_bootstrap", p_value=p_value, samples=1000, signature="s")


def comparison(metric: str = "bleu", delta: float = 1.5, *p_values: float) -> Comparison:
    return Comparison(
        metric=metric,
        name={"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}[metric],
        score=35.0 + delta,
        baseline_score=35.0,
        baseline_interval=(33.6, 36.4),
        delta=delta,
        tests=[significance(p_value) for p_value in p_values],
    )


def metric(name: str = "bleu", score: float = 36.5) -> MetricResult:
    return MetricResult(
        metric=name,
        name={"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}[name],
        score=score,
        signature=f"nrefs:1|name:{name}",
        interval=(score - 1.25, score + 1.25),
        details=None,
    )


def example(index: int, *texts: str) -> Example:
    """Make an example of the source, the reference, the hypothesis and that of the baseline."""
    source, reference, hypothesis, baseline = texts
    return Example(
        index=index,
        source=source,
        reference=reference,
        hypothesis=hypothesis,
        baseline=baseline,
        bleu=12.34,
        chrf=23.45,
        baseline_bleu=34.56,
        baseline_chrf=45.67,
    )


def report(**given) -> Report:
    """Make a report of two versions of a model; the given fields take the place of its own."""
    model = ModelInfo(
        name="tiny", version="2", sha256="2" * 64, precision="int8", provider="CPUExecutionProvider"
    )
    older = model.model_copy(update={"version": "1", "sha256": "1" * 64})
    sentence = example(7, "Ein Hund.", "A dog barks.", "A dog sings.", "The cat sings.")
    moment = datetime(2026, 11, 21, 22, 10, tzinfo=UTC)
    pace = Performance(
        sentences_per_second=215.6,
        target_tokens_per_second=1893.2,
        characters_per_second=8120.5,
        seconds=93.4,
    )
    fields = {
        "job_id": "job-1",
        "pair": PairInfo(source="de", target="en"),
        "model": model,
        "baseline": BaselineInfo(kind="model", model=older),
        "decode": DecodeInfo(
            beam=6, length_penalty=1.4, no_repeat_ngram=0, coverage_penalty=0.0, max_tokens=None
        ),
        "test_set": "news",
        "sentences": 2000,
        "created": moment,
        "started": moment,
        "finished": moment,
        "metrics": [metric("bleu", 36.5), metric("ter", 36.0)],
        "comparison": [comparison("bleu", 1.5, 0.001), comparison("ter", 1.0, 0.4)],
        "buckets": [bucket(1, 10, 1990), bucket(11, None, 10)],
        "worst": [sentence],
        "changed": [sentence],
        "identical": 812,
        "counts": Counts(truncated=3, repetition_stopped=0, placeholder_lost=0, empty=0),
        "performance": pace,
        "baseline_performance": pace,
        "warnings": [],
    }
    return Report(**(fields | given))


def bucket(low: int, high: int | None, sentences: int) -> Bucket:
    return Bucket(
        by="source_length",
        low=low,
        high=high,
        sentences=sentences,
        bleu=40.0,
        chrf=50.0,
        baseline_bleu=20.0,
        baseline_chrf=49.0,
    )


def nasty_report() -> Report:
    """Make a report in which every text that comes from outside is a nasty one."""
    count = len(NASTY)
    examples = [example(i, *(NASTY[(i + k) % count] for k in range(4))) for i in range(count)]
    model = ModelInfo(
        name=NASTY[0], version=NASTY[1], sha256=NASTY[2], precision=NASTY[3], provider=NASTY[4]
    )
    return report(
        job_id=NASTY[0],
        pair=PairInfo(source=NASTY[2], target=NASTY[3]),
        model=model,
        baseline=BaselineInfo(kind="model", model=model),
        test_set=NASTY[6],
        worst=examples,
        changed=examples,
        warnings=NASTY,
    )
