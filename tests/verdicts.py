"""Reports of evaluations that were never made, for tests of what is concluded from them."""

from datetime import UTC, datetime

from service.evaluation import Comparison
from service.evaluation.results import Significance
from service.evaluations import BaselineInfo, Counts, ModelInfo, PairInfo, Report

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def compared(metric: str, delta: float, *p_values: float, samples: int = 1000) -> Comparison:
    """Return what a comparison found: a difference, and the p of each test."""
    names = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}
    kinds = "paired_bootstrap", "approximate_randomisation"
    tests = [
        Significance(test=kind, p_value=p, samples=samples, signature="")
        for kind, p in zip(kinds, p_values, strict=False)
    ]
    return Comparison(
        metric=metric,
        name=names[metric],
        score=30 + delta,
        baseline_score=30,
        baseline_interval=None,
        delta=delta,
        tests=tests,
    )


def model(identity: str) -> ModelInfo:
    name, version = identity.split("@")
    return ModelInfo(name=name, version=version, sha256="0", precision="fp32", provider="CPU")


def report(of: str | None, baseline: str | None, *comparison: Comparison) -> Report:
    """Return the report of a version, or of hypotheses, beside a baseline."""
    return Report(
        job_id="0" * 32,
        pair=PairInfo(source="de", target="en"),
        model=model(of) if of else None,
        baseline=BaselineInfo(kind="model", model=model(baseline)) if baseline else None,
        decode=None,
        test_set=None,
        sentences=100,
        created=NOW,
        started=NOW,
        finished=NOW,
        metrics=[],
        comparison=list(comparison),
        buckets=[],
        worst=[],
        changed=[],
        identical=None,
        counts=Counts(truncated=0, repetition_stopped=0, placeholder_lost=0, empty=0),
        performance=None,
        baseline_performance=None,
        warnings=[],
    )
