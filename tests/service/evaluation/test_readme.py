"""The section on scores in the README of the service."""

from pathlib import Path
from typing import get_args

from service.evaluation import MetricName
from service.evaluation.buckets import BOUNDS
from service.evaluation.resampling import RESAMPLES, TRIALS
from service.evaluation.scorers import make_scorer
from service.evaluation.task import SEED

README = Path(__file__).parents[3] / "service" / "README.md"
SECTION = README.read_text(encoding="utf-8").split("\n## Scores\n")[1].split("\n## ")[0]


def test_table_lists_every_metric_with_name_and_signature():
    for metric in get_args(MetricName):
        scorer = make_scorer(metric, "en")
        signature = scorer.signature(1, bs=RESAMPLES, seed=SEED).rpartition("|version:")[0]

        escaped = signature.replace("|", "\\|")
        assert f"| `{metric}` | {scorer.name} | `{escaped}` |" in SECTION


def test_bounds_of_lengths_are_those_of_the_buckets():
    bounds = [str(low) if low == high else f"{low} to {high}" for low, high in BOUNDS[:-1]]

    assert f"{', '.join(bounds)}, or more words" in " ".join(SECTION.split())


def test_number_of_trials_is_named():
    assert f"{TRIALS:,} trials" in SECTION
