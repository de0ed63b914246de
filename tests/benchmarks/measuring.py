"""How everything here is measured: one after the other, round after round, medians.

What else a shared machine does then touches all that is compared; a ratio is taken within
each round before its median.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

Key = TypeVar("Key")
Figure = TypeVar("Figure")


def alternate(works: Mapping[Key, Callable[[], Figure]], rounds: int) -> dict[Key, list[Figure]]:
    """Call each in turn, `rounds` times, after one round that does not count."""
    found: dict[Key, list[Figure]] = {key: [] for key in works}
    for turn in range(rounds + 1):
        for key, work in works.items():
            figure = work()
            if turn:
                found[key].append(figure)
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios within the rounds."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that is not exceeded by this share of all; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
