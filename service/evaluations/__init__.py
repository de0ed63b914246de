"""Durable jobs that measure models or hypotheses, and what they report: the front door."""

from service.evaluations.evaluations import Evaluation, Evaluations
from service.evaluations.files import (
    BASELINE,
    HYPOTHESES,
    REPORT,
    SOURCE,
    Decode,
    EvaluationFiles,
    Measures,
    ModelChoice,
    Record,
    reference,
)
from service.evaluations.intake import MAX_REFERENCES, EvaluationLimits, Submission
from service.evaluations.report import (
    BaselineInfo,
    BaselineKind,
    Counts,
    DecodeInfo,
    ModelInfo,
    PairInfo,
    Performance,
    Report,
)

__all__ = [
    "BASELINE",
    "HYPOTHESES",
    "MAX_REFERENCES",
    "REPORT",
    "SOURCE",
    "BaselineInfo",
    "BaselineKind",
    "Counts",
    "Decode",
    "DecodeInfo",
    "Evaluation",
    "EvaluationFiles",
    "EvaluationLimits",
    "Evaluations",
    "Measures",
    "ModelChoice",
    "ModelInfo",
    "PairInfo",
    "Performance",
    "Record",
    "Report",
    "Submission",
    "reference",
]
