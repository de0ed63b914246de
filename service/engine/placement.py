"""Where in a translation a mark belongs that stood between words of the source, by attention.

A gap is a place between two target words: gap i is before word i. A mark that is alone goes to
the gap that parts the words of what stood before it from those of what stood behind. An element
gets the run of words that agrees best with what it enclosed; elements stay nested as they were,
and none is torn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.engine.alignment import WordShares
from service.engine.flow import MarkKind

# More marks in one sentence than anybody means keep their order: to nest them takes too long.
_MOST_NESTED = 100


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A mark of a source sentence: what it looks like and where it stands."""

    place: int
    """In the characters of the source sentence, as the model reads it."""
    text: str
    kind: MarkKind
    pair: int | None = None


@dataclass(frozen=True, slots=True)
class Insertion:
    """What goes into a gap."""

    gap: int
    text: str
    is_behind: bool
    """Whether it belongs to the word before the gap rather than to the next one."""


@dataclass(slots=True)
class _Node:
    begin: int
    end: int
    opening: str = ""
    closing: str = ""
    is_begun: bool = True
    """Whether its opening tag stands in the sentence, and not before it."""
    is_ended: bool = True
    pair: int | None = None
    point: PlacedMark | None = None
    children: "list[_Node]" = field(default_factory=list)


class Placer:
    """Places the marks of one sentence in one translation of it."""

    def __init__(self, shares: WordShares, source: str) -> None:
        self._source = source
        self._words = shares.source_words
        self.num_words = len(shares.target_words)
        self._lengths = [end - begin for begin, end in shares.target_words]
        totals = shares.shares.sum(axis=1, keepdims=True)
        # Words that looked nowhere are for neither side.
        even = np.full_like(shares.shares, 1 / max(len(self._words), 1))
        self._shares = np.where(totals > 0, shares.shares / np.maximum(totals, 1e-9), even)

    def place(self, marks: Sequence[PlacedMark]) -> list[Insertion]:
        """Return what goes where, in the order in which it is to be written."""
        root = _nest(marks, len(self._source)) if len(marks) <= _MOST_NESTED else None
        if root is None:
            return self._place_in_order(marks)
        return self._place_children(root, 0, self.num_words)

    def gap(self, place: int, gaps: Sequence[int]) -> int:
        """Return which of these gaps, in rising order, parts the words best at a place."""
        sums = np.concatenate(([0.0], np.cumsum(2 * self._left_of(place) - 1)))
        return max(gaps, key=lambda gap: (round(float(sums[gap]), 6), -gap))

    def _place_in_order(self, marks: Sequence[PlacedMark]) -> list[Insertion]:
        """Place marks so that none overtakes another."""
        insertions: list[Insertion] = []
        first = 0
        for mark in marks:
            first = self.gap(mark.place, range(first, self.num_words + 1))
            insertions.append(Insertion(first, mark.text, self._is_behind(mark)))
        return insertions

    def _place_children(self, node: _Node, begin: int, end: int) -> list[Insertion]:
        runs = self._runs(node.children, begin, end)
        placed = sorted(zip(runs, range(len(runs)), node.children, strict=True))
        insertions: list[Insertion] = []
        for run, _, child in placed:
            if child.point:
                is_behind = self._is_behind(child.point)
                insertions.append(Insertion(run[0], child.point.text, is_behind))
                continue
            if child.is_begun:
                insertions.append(Insertion(run[0], child.opening, is_behind=False))
            insertions += self._place_children(child, *run)
            if child.is_ended:
                insertions.append(Insertion(run[1], child.closing, is_behind=True))
        return insertions

    def _runs(self, children: Sequence[_Node], begin: int, end: int) -> list[tuple[int, int]]:
        """Return the words of each child; no two share one."""
        runs: list[tuple[int, int]] = [(begin, begin)] * len(children)
        free = [True] * self.num_words
        for index in sorted(range(len(children)), key=lambda i: _rank(children[i])):
            child = children[index]
            if child.point:
                gaps = [gap for gap in range(begin, end + 1) if _is_open(gap, runs, children)]
                gap = self.gap(child.begin, gaps)
                runs[index] = (gap, gap)
            else:
                runs[index] = self._run(child, begin, end, free)
            free[slice(*runs[index])] = [False] * (runs[index][1] - runs[index][0])
        return runs

    def _run(self, child: _Node, begin: int, end: int, free: list[bool]) -> tuple[int, int]:
        if not child.is_begun and not child.is_ended:
            return begin, end
        taken = [i for i in range(begin, end) if not free[i]]
        if not child.is_begun:
            return begin, self.gap(child.end, range(begin, min(taken, default=end) + 1))
        if not child.is_ended:
            return self.gap(child.begin, range(max(taken, default=begin - 1) + 1, end + 1)), end
        within = self._left_of(child.end) - self._left_of(child.begin)
        if not self._source[child.begin : child.end].strip():
            gaps = [i for i in range(begin, end + 1) if i in (begin, end) or free[i - 1] or free[i]]
            gap = self.gap(child.begin, gaps)
            return gap, gap
        return self._best_run(within, [i for i in range(begin, end) if free[i]], begin)

    def _best_run(
        self, within: NDArray[np.float64], free: Sequence[int], begin: int
    ) -> tuple[int, int]:
        """Return the run of free words that agrees best: most that belong in, fewest others."""
        if not free:
            return begin, begin
        # Of "hat" and "gesehen", for "saw", the longer one says more.
        best = max(free, key=lambda i: (round(float(within[i]), 1), self._lengths[i]))
        run, best_sum = (best, best + 1), max(float(within[best]) - 0.5, 0.0)
        is_free = set(free)
        for first in free:
            total = 0.0
            for last in range(first, free[-1] + 1):
                if last not in is_free:
                    break
                total += float(within[last]) - 0.5
                if total > best_sum + 1e-9:
                    run, best_sum = (first, last + 1), total
        return run

    def _left_of(self, place: int) -> NDArray[np.float64]:
        """Return for each target word how much of its attention went to what is before a place."""
        parts = np.array([_part_before(word, place) for word in self._words], np.float64)
        if not len(parts):
            return np.full(self.num_words, 0.5)
        return np.asarray(self._shares @ parts, np.float64)

    def _is_behind(self, mark: PlacedMark) -> bool:
        if mark.kind != "point":
            return mark.kind == "close"
        before = self._source[mark.place - 1 : mark.place]
        return mark.text[:1].isspace() or not (before.isspace() or before == "")


def _nest(marks: Sequence[PlacedMark], size: int) -> _Node | None:
    """Return the marks as a tree; None if they are not nested."""
    root = _Node(0, size)
    stack = [root]
    opened = {mark.pair for mark in marks if mark.kind == "open"} - {None}
    for mark in marks:
        if mark.kind == "point":
            stack[-1].children.append(_Node(mark.place, mark.place, point=mark))
        elif mark.kind == "open":
            node = _Node(mark.place, size, opening=mark.text, is_ended=False, pair=mark.pair)
            stack[-1].children.append(node)
            stack.append(node)
        elif mark.pair in opened:
            node = stack.pop()
            if node.pair != mark.pair:
                return None
            node.end, node.closing, node.is_ended = mark.place, mark.text, True
        elif len(stack) > 1:
            return None
        else:
            # Opened before the sentence: all that came so far is in it.
            node = _Node(0, mark.place, closing=mark.text, is_begun=False)
            node.children, root.children = root.children, [node]
    return root


def _rank(node: _Node) -> tuple[int, int]:
    """Return what is placed first: what is tied to an end, then the longest, at last points."""
    if node.point:
        return 2, 0
    return int(node.is_begun and node.is_ended), node.begin - node.end


def _is_open(gap: int, runs: Sequence[tuple[int, int]], children: Sequence[_Node]) -> bool:
    for (begin, end), child in zip(runs, children, strict=True):
        is_after_begin = gap > begin or not child.is_begun
        is_before_end = gap < end or not child.is_ended
        if child.point is None and begin < end and is_after_begin and is_before_end:
            return False
    return True


def _part_before(word: tuple[int, int], place: int) -> float:
    begin, end = word
    return min(max((place - begin) / (end - begin), 0.0), 1.0)
