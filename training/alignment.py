"""Whether line N of one side belongs to line N of the other, told without knowing the languages.

Translations of each other are alike in length, share numbers and names, and end with the same
mark. In a block of neighbouring pairs, each source is compared with the target of its own line
and with those of the lines around it: where the text is aligned, its own line stands out.

    pairs -> blocks -> agreement at each offset -> z-scores -> aligned | shifted by k | unrelated

Neighbours are the control, not lines drawn anywhere: a text that is sorted by length would look
aligned beside those however it is shifted.

Source: Gale & Church 1993, "A Program for Aligning Sentences in Bilingual Corpora", section 3,
for lengths; Simard et al. 1992, "Using Cognates to Align Sentences", for shared words.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from training.pairs import Pair

BLOCK = 400
"""Pairs that are judged together."""
MIN_BLOCK = 60
"""Fewer have no control to be compared with."""
FARTHEST = 60
"""Lines away from its own that a source is compared with."""
ALIGNED = 6.0
"""z-score from which the own line stands out; real text has 13 to 300, shuffled text up to 5."""
SHIFTED = 12.0
"""z-score from which another line does, if the own one stays `MARGIN` below it."""
MARGIN = 6.0
CLEAR = 15.0
"""Median z-score of aligned blocks from which a block without a relation says something."""

_WORD = re.compile(r"\w+")
_END_MARKS = {"?": 1, "\uff1f": 1, "!": 2, "\uff01": 2, ":": 3, "\uff1a": 3, "\u2026": 4}
_CLOSING = "\"' )]\u00bb\u201c\u201d\u2019\u203a"
# of a normal distribution: standard deviation over median absolute deviation
_DEVIATIONS = 1.4826


@dataclass(frozen=True, slots=True)
class Block:
    """What was found of some neighbouring pairs."""

    first: int
    """Number of its first pair, from 1."""
    last: int
    own: float
    """z-score of the own line."""
    best: float
    """The highest z-score."""
    shift: int
    """The offset that has it: source i belongs to target i + shift."""

    @property
    def is_aligned(self) -> bool:
        """Whether the own line stands out."""
        return self.own >= ALIGNED and not self.is_shifted

    @property
    def is_shifted(self) -> bool:
        """Whether another line stands out instead."""
        return self.shift != 0 and self.best >= SHIFTED and self.best >= self.own + MARGIN


class Alignment:
    """Takes pairs in their order and judges them block by block; one block is held."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._pairs: list[Pair] = []
        self._number = 0

    def add(self, pair: Pair) -> None:
        """Take the next pair, normalised."""
        self._number += 1
        self._pairs.append(pair)
        if len(self._pairs) == BLOCK:
            self._judge()

    def finish(self) -> list[Block]:
        """Return all blocks, in order; what is left at the end is too little to be one."""
        if len(self._pairs) >= MIN_BLOCK:
            self._judge()
        return self.blocks

    def _judge(self) -> None:
        first = self._number - len(self._pairs) + 1
        pairs = [pair for pair in self._pairs if pair[0] and pair[1]]
        self._pairs = []
        if len(pairs) < MIN_BLOCK:
            return
        scores = standings(pairs)
        reach = len(scores) // 2
        best = int(scores.argmax())
        own = float(scores[reach])
        self.blocks.append(Block(first, self._number, own, float(scores[best]), best - reach))


def overall(blocks: Sequence[Block]) -> float:
    """Return the z-score of the own line over all blocks (Stouffer's sum)."""
    return sum(block.own for block in blocks) / math.sqrt(max(1, len(blocks)))


def is_telling(blocks: Sequence[Block]) -> bool:
    """Tell whether aligned blocks stand out so clearly that a block which does not is at fault."""
    aligned = [block.own for block in blocks if block.is_aligned]
    return bool(aligned) and median(aligned) >= CLEAR


def standings(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return how far the agreement at each offset stands out, from -reach to reach.

    Median and median deviation of all offsets are the control, for the one that is right among
    them must not raise the bar for itself.
    """
    reach = min(FARTHEST, len(pairs) // 3)
    sums = np.zeros(2 * reach + 1)
    used = 0
    for agreement in _agreements(pairs):
        means = np.array([agreement.diagonal(o).mean() for o in range(-reach, reach + 1)])
        middle = np.median(means)
        deviation = _DEVIATIONS * np.median(np.abs(means - middle))
        if deviation > np.finfo(np.float32).eps:
            sums += (means - middle) / deviation
            used += 1
    return sums / math.sqrt(max(1, used))


def _agreements(pairs: Sequence[Pair]) -> Iterator[NDArray[np.float32]]:
    """Yield matrices that tell how well source i goes with target j."""
    sources, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    longer = _log_lengths(sources)[:, None] - _log_lengths(targets)[None, :]
    yield -np.abs(longer - np.median(longer.diagonal()))
    ends = _ends(sources)[:, None] == _ends(targets)[None, :]
    yield ends.astype(np.float32)
    yield _shared_words(sources, targets)


def _log_lengths(sides: Sequence[str]) -> NDArray[np.float32]:
    return np.log(np.array([len(side) for side in sides], np.float32))


def _ends(sides: Sequence[str]) -> NDArray[np.int64]:
    return np.array([_END_MARKS.get(side.rstrip(_CLOSING)[-1:], 0) for side in sides])


def _shared_words(sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.float32]:
    """Return the words in common, numbers and names mostly; the rarer the more they count."""
    words = [[set(_WORD.findall(side.lower())) for side in sides] for sides in (sources, targets)]
    counts = [Counter(word for each in side for word in each) for side in words]
    shared = sorted(counts[0].keys() & counts[1].keys())
    column_by_word = {word: column for column, word in enumerate(shared)}
    tables = []
    for side, count in zip(words, counts, strict=True):
        table = np.zeros((len(side), len(shared)), np.float32)
        for row, each in enumerate(side):
            for word in each & column_by_word.keys():
                table[row, column_by_word[word]] = count[word] ** -0.5
        tables.append(table)
    return tables[0] @ tables[1].T
