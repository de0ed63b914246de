"""Scores by length: whether long sentences fare worse than short ones."""

import re
from collections.abc import Sequence

from service.evaluation.counting import Counted
from service.evaluation.results import Bucket, BucketKind
from service.evaluation.task import Task

BOUNDS = ((0, 0), (1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, 40), (41, 60), (61, None))
"""The fewest and the most words of each bucket."""

# Han, kana and what goes with them: written without spaces, so that each counts as a word
_WORD = re.compile(
    r"[\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)


def find_buckets(task: Task, bleu: Counted, chrf: Counted) -> list[Bucket]:
    """Score together lines whose source, or whose first reference, is of like length."""
    buckets = []
    if task.source is not None:
        buckets += _bucket("source_length", task.source, bleu, chrf)
    return buckets + _bucket("reference_length", task.references[0], bleu, chrf)


def _bucket(by: BucketKind, lines: Sequence[str], bleu: Counted, chrf: Counted) -> list[Bucket]:
    lengths = [len(_WORD.findall(line)) for line in lines]
    buckets = []
    for low, high in BOUNDS:
        within = [
            index
            for index, length in enumerate(lengths)
            if length >= low and (high is None or length <= high)
        ]
        if not within:
            continue
        bleu_score, baseline_bleu = bleu.score(within)
        chrf_score, baseline_chrf = chrf.score(within)
        buckets.append(
            Bucket(
                by=by,
                low=low,
                high=high,
                sentences=len(within),
                bleu=bleu_score,
                chrf=chrf_score,
                baseline_bleu=baseline_bleu,
                baseline_chrf=baseline_chrf,
            )
        )
    return buckets
