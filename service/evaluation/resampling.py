"""What chance does to a score: resamples of the sentences, and exchanges between two systems.

The random numbers, their order and the precision of the sums are sacreBLEU's, so that the
outcome is its own. It draws all of them at once, which for 100,000 sentences takes several GB;
here they are drawn in parts.

Source: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation"; Riezler
and Maxwell 2005, "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT".
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from service.evaluation.results import Interval
from service.evaluation.scorers import Counts, Scorer, Scores

TRIALS = 10_000
"""Of approximate randomisation; sacreBLEU's default."""

RESAMPLES = 1_000
"""Of a paired bootstrap where no intervals were asked for; sacreBLEU's default."""

_DRAWN_AT_ONCE = 2_000_000
_BITS_AT_ONCE = 32  # one random number of the generator gives the sides of 32 sentences


def resample(systems: Sequence[tuple[Scorer, Counts]], resamples: int, seed: int) -> list[Scores]:
    """Draw as many sentences as there are, with replacement, and score them; again and again.

    All counts are of the same sentences, and see the same draws.

    Returns: For each of the counts, the score of each resample.
    """
    joined = np.concatenate([counts for _, counts in systems], axis=1)
    sums = np.concatenate([draw @ joined for draw in _draws(len(joined), resamples, seed)])
    tables = np.split(sums, _ends([counts for _, counts in systems]), axis=1)
    return [
        scorer.score_resamples(table) for (scorer, _), table in zip(systems, tables, strict=True)
    ]


def interval(scores: Scores) -> Interval:
    """Return mean less and plus half the width of the middle 95 %, as sacreBLEU prints it."""
    ordered = np.sort(scores.astype(np.float64))
    cut = len(ordered) // 40
    half = (ordered[len(ordered) - cut - 1] - ordered[cut]) / 2
    mean = ordered.mean()
    return float(mean - half), float(mean + half)


def compare_resamples(scores: Scores, baseline_scores: Scores, difference: float) -> float:
    """Return p by the paired bootstrap: how often resamples stray as far as the difference."""
    differences = np.abs(scores - baseline_scores)
    return _p_value(differences - differences.mean(), difference)


def randomise(
    systems: Sequence[tuple[Scorer, Counts, Counts]], trials: int, seed: int
) -> list[float]:
    """Return p by approximate randomisation, for each metric's counts beside the baseline's.

    Each trial exchanges the outputs of about half of the sentences.
    """
    strayed: list[list[Scores]] = [[] for _ in systems]
    for sides in _sides(len(systems[0][1]), trials, seed):
        for each, system in zip(strayed, systems, strict=True):
            each.append(_exchange(*system, sides))
    return [
        _p_value(np.concatenate(each), abs(_score(scorer, own) - _score(scorer, other)))
        for each, (scorer, own, other) in zip(strayed, systems, strict=True)
    ]


def _exchange(scorer: Scorer, own: Counts, other: Counts, sides: Counts) -> Scores:
    """Return how far the scores are apart in each trial."""
    # added up as sacreBLEU does, for thirds (TER's lengths): their rounding decides between ties
    mixed = sides @ other + (1 - sides) @ own
    rest = (1 - sides) @ other + sides @ own
    scores = np.array([scorer.score(sums) for sums in mixed.tolist()])
    others = np.array([scorer.score(sums) for sums in rest.tolist()])
    distances: Scores = np.abs(scores - others)
    return distances


def _score(scorer: Scorer, counts: Counts) -> float:
    return scorer.score(counts.sum(axis=0).tolist())


def _ends(tables: Sequence[Counts]) -> list[int]:
    """Return where to split what was joined of these."""
    return list(itertools.accumulate(table.shape[1] for table in tables))[:-1]


def _p_value(strayed: Scores, difference: float) -> float:
    return float(((strayed > difference).sum() + 1) / (len(strayed) + 1))


def _draws(sentences: int, resamples: int, seed: int) -> Iterator[Counts]:
    """Yield how often each sentence is in each resample: some resamples at a time."""
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // sentences)
    for start in range(0, resamples, at_once):
        size = (min(at_once, resamples - start), sentences)
        drawn = random.choice(sentences, size=size, replace=True)
        yield np.array([np.bincount(row, minlength=sentences) for row in drawn], dtype=np.float64)


def _sides(sentences: int, trials: int, seed: int) -> Iterator[Counts]:
    """Yield whose output of each sentence is taken in each trial: some trials at a time."""
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // sentences // _BITS_AT_ONCE) * _BITS_AT_ONCE
    for start in range(0, trials, at_once):
        size = (min(at_once, trials - start), sentences)
        yield random.integers(2, size=size, dtype=np.bool_).astype(np.float64)
