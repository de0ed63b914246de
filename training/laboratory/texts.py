"""Text of a task: drawn, each source once, and split so that no source is in two parts.

Where a source goes is told by its hash alone (Zaremba & Sutskever 2014, section 4, split their
programs by a hash modulo three), so that it stays there however much text is drawn.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from training.laboratory.tasks import Pair

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
TENTHS = 10
"""One of dev, one of test, the others of training."""
PATIENCE = 20
"""Times the number of pairs wanted, that are drawn at most: a short task has few."""

DrawPair = Callable[[np.random.Generator], Pair]


def part_of(source: str) -> Part:
    """Return the part that a source belongs to, now and always."""
    tenth = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8]) % TENTHS
    return "dev" if tenth == 0 else "test" if tenth == 1 else "train"


def draw_part(draw: DrawPair, part: Part, count: int, seed: int) -> list[Pair]:
    """Return at most so many different pairs of a part; fewer if the task has no more."""
    random = np.random.default_rng([seed, PARTS.index(part)])
    found: dict[str, str] = {}
    for source, target in _draws(draw, random, count * PATIENCE):
        if part_of(source) == part:
            found.setdefault(source, target)
        if len(found) == count:
            break
    return list(found.items())


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write a TSV; the folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")


def read_pairs_of(path: Path) -> list[Pair]:
    """Read a TSV that `write_pairs` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(line.split("\t")[0], line.split("\t")[1]) for line in lines]


def _draws(draw: DrawPair, random: np.random.Generator, count: int) -> Iterator[Pair]:
    return (draw(random) for _ in range(count))
