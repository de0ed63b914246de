"""Whether an evaluation speaks for a version: measured against what serves, and not worse."""

from service.errors import PromotionRefused
from service.evaluation import Comparison
from service.evaluations import ModelInfo, Report
from service.evaluations.verdict import judge

MIN_SAMPLES = 100
"""Of a paired test. Its p is never below 1 / (samples + 1): one of 19 finds nothing significant,
and with less than a hundred, five draws or fewer decide."""


def check(report: Report, name: str, version: str, serving: str) -> None:
    """Check that an evaluation has not found a version worse than the one that serves.

    Raises:
        PromotionRefused: it has; or it is of something else, or its tests cannot tell.
    """
    if not _is(report.model, name, version):
        measured = _identity(report.model)
        message = f"the evaluation is of {measured}, not of {name}@{version}"
        raise PromotionRefused(message, field="evaluation")
    baseline = report.baseline.model if report.baseline else None
    if not _is(baseline, name, serving):
        message = (
            f"the baseline of the evaluation is {_identity(baseline)}, "
            f"not {name}@{serving}, which serves"
        )
        raise PromotionRefused(message, field="evaluation")
    if not all(each.tests for each in report.comparison) or not report.comparison:
        message = "the evaluation has no paired test, so it cannot tell which version is better"
        raise PromotionRefused(message, field="evaluation")
    samples = min(test.samples for each in report.comparison for test in each.tests)
    if samples < MIN_SAMPLES:
        message = f"a paired test of the evaluation has {samples} samples, fewer than {MIN_SAMPLES}"
        raise PromotionRefused(message, field="evaluation", limit=MIN_SAMPLES)
    if worse := [_told(each) for each in report.comparison if judge(each) == "worse"]:
        message = f"{name}@{version} is significantly worse than {name}@{serving}, which serves: "
        raise PromotionRefused(message + ", ".join(worse), field="evaluation")


def _is(model: ModelInfo | None, name: str, version: str) -> bool:
    return model is not None and (model.name, model.version) == (name, version)


def _identity(model: ModelInfo | None) -> str:
    return f"{model.name}@{model.version}" if model else "no model of this service"


def _told(comparison: Comparison) -> str:
    p_value = min(each.p_value for each in comparison.tests)
    return f"{comparison.name} {comparison.delta:+.2f} (p = {p_value:.4f})"
