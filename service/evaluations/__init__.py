"""Durable jobs that measure models or hypotheses, and what they report: the front door."""

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
    "BaselineInfo",
    "BaselineKind",
    "Counts",
    "DecodeInfo",
    "ModelInfo",
    "PairInfo",
    "Performance",
    "Report",
]
