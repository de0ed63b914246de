"""Dev and test, held out of a text by sentence family.

One sentence has many translations, and its translations have others: pairs that share a side,
directly or over other pairs, are a family. A family is held out whole or not at all; text that is
split at random measures what was learnt by heart.

    pairs -> fingerprints of both sides -> families -> a few whole ones -> dev, test
                                                       all others       -> train
"""

import random
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.findings import Line

PARTS = ("train", "dev", "test")
TRAIN, DEV, TEST = range(3)
MAX_FAMILY = 4
"""Pairs of the largest family that is held out: larger ones are the backbone of a text ("Yes."),
and a few of them would fill dev."""
SHARE = 0.1
"""Of the pairs, at most, in dev and test each ..."""
MOST = 1000
"""... and most pairs: BLEU of 1,000 sentences is certain to about a point and a half."""
LEAST = 10
"""Pairs without which dev and test say nothing at all."""


@dataclass(frozen=True, slots=True)
class Split:
    """Where each pair of a text goes."""

    part: NDArray[np.int8]
    """TRAIN, DEV or TEST of each pair, in the order of the text."""
    families: int
    largest: int
    """Pairs of the largest family."""

    def count(self, part: int) -> int:
        """Return the pairs of a part."""
        return int((self.part == part).sum())


def split(lines: Iterable[Line], seed: int = 1) -> Split:
    """Choose what is held out: the same lines give the same split.

    Only usable pairs are held out, but every pair belongs to its family, so nothing that is
    dropped today leaks when the rules of cleaning are changed.

    Raises:
        ValueError: too few small families; the message names their number.
    """
    hashes, is_usable = array("q"), array("b")
    for line in lines:
        hashes.extend(hash((order, side)) if side else 0 for order, side in enumerate(line.prints))
        is_usable.append(line.fault is None)
    family = find_families(np.frombuffer(hashes, np.int64).reshape(-1, 2))
    sizes = np.bincount(family)
    usable = np.frombuffer(is_usable, np.int8).astype(bool)
    # a family with one pair that is unusable stays in training, where that one is dropped
    usable_sizes = np.bincount(family[usable], minlength=len(sizes))
    small = np.flatnonzero((sizes <= MAX_FAMILY) & (usable_sizes == sizes))
    wanted = min(MOST, int(SHARE * usable.sum()))
    if wanted < LEAST or sizes[small].sum() < 3 * wanted:
        raise ValueError(
            f"{int(sizes[small].sum()):,} of {len(family):,} pairs are in sentence families of at "
            f"most {MAX_FAMILY}, {max(3 * wanted, 3 * LEAST):,} are needed to hold out dev and "
            "test: add text, or name files of your own for both in a recipe"
        )
    small = np.array(random.Random(seed).sample(small.tolist(), len(small)))  # noqa: S311
    return Split(_choose(family, sizes, small, wanted), len(sizes), int(sizes.max()))


def find_families(sides: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the family of each pair, numbered from 0 by first appearance.

    Args:
        sides: hashes of both sides of each pair, distinct between the languages; 0 is no side
            that another pair could have in common.
    """
    rows = len(sides)
    parent = list(range(rows))
    for order in (0, 1):
        by_side = np.argsort(sides[:, order], kind="stable")
        for one, other in pairwise(by_side.tolist()):
            if sides[one, order] == sides[other, order] != 0:
                _join(parent, one, other)
    roots = np.array([_root(parent, row) for row in range(rows)], np.int64)
    return np.unique(roots, return_inverse=True)[1]


def write_parts(lines: Iterable[Line], split: Split, folder: Path, names: tuple[str, str]) -> None:
    """Write each part as two line-aligned files, such as `train.en` and `train.de`.

    Text is written normalised, one line for each pair, whatever form it came in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [(folder / f"{part}.{name}") for part in PARTS for name in names]
    files = [path.open("w", encoding="utf-8", newline="\n") for path in paths]
    try:
        for line, part in zip(lines, split.part.tolist(), strict=True):
            for order, side in enumerate(line.pair):
                files[2 * part + order].write(f"{side}\n")
    finally:
        for file in files:
            file.close()


def _choose(
    family: NDArray[np.int64], sizes: NDArray[np.int64], small: NDArray[np.int64], wanted: int
) -> NDArray[np.int8]:
    part_by_family = np.full(len(sizes), TRAIN, np.int8)
    filled = np.cumsum(sizes[small])
    ends = np.searchsorted(filled, [wanted, 2 * wanted], side="left") + 1
    part_by_family[small[: ends[0]]] = TEST
    part_by_family[small[ends[0] : ends[1]]] = DEV
    return part_by_family[family]


def _join(parent: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parent, one), _root(parent, other)))
    parent[second] = first


def _root(parent: list[int], row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row
