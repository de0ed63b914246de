"""Sentences that wait for a worker: taken oldest first, together with others of their length.

A batch of like lengths needs little padding. Not safe between threads by itself; the
scheduler's lock guards it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from service.engine.search import Hypothesis, SearchOptions

# Sentences taken together are at most half as long again as the shortest, and a few tokens.
_LENGTH_RATIO = 1.5
_LENGTH_SLACK = 4


Priority = Literal["interactive", "batch"]


@dataclass(slots=True, eq=False)
class Sentence:
    """A source, how to search, and the future that waits for its hypotheses."""

    source: Sequence[int]
    options: SearchOptions
    priority: Priority = "interactive"
    deadline: float | None = None
    """Until when somebody waits for it, on the monotonic clock."""
    future: Future[list[Hypothesis]] = field(default_factory=Future)
    arrived: float = field(default_factory=monotonic)
    number: int = -1
    """Place in the order of arrival, given by the waiting line."""

    @property
    def length(self) -> int:
        """Source tokens."""
        return len(self.source)


class WaitingLine:
    """Keeps sentences by length, each length in the order of arrival."""

    def __init__(self) -> None:
        self._sentences_by_length: dict[int, OrderedDict[int, Sentence]] = {}
        self._count = 0
        self._next_number = 0
        self.tokens = 0
        """Source tokens of all that wait."""
        self.rows = 0
        """Rows that all who wait will take."""

    def __len__(self) -> int:
        return self._count

    def add(self, sentence: Sentence) -> None:
        """Put a sentence at the end."""
        sentence.number = self._next_number
        self._next_number += 1
        line = self._sentences_by_length.setdefault(sentence.length, OrderedDict())
        line[sentence.number] = sentence
        self._account(sentence, 1)

    def remove(self, sentence: Sentence) -> bool:
        """Take a sentence out, wherever it stands; False if it is not waiting."""
        line = self._sentences_by_length.get(sentence.length)
        if line is None or sentence.number not in line:
            return False
        del line[sentence.number]
        if not line:
            del self._sentences_by_length[sentence.length]
        self._account(sentence, -1)
        return True

    def oldest(self) -> Sentence | None:
        """Return who has waited longest, without taking it."""
        firsts = (next(iter(line.values())) for line in self._sentences_by_length.values())
        return min(firsts, key=lambda sentence: sentence.number, default=None)

    def take(self, max_rows: int, max_rows_oldest: int) -> list[Sentence]:
        """Take the oldest sentence, then those nearest to it in length.

        Nobody overtakes an oldest sentence that is too wide: then nothing is taken.

        Args:
            max_rows: rows that all of them may need together.
            max_rows_oldest: rows that the oldest may need if it is taken alone.
        """
        oldest = self.oldest()
        if oldest is None or oldest.options.width > max_rows_oldest:
            return []
        taken = [oldest]
        rows = max_rows - oldest.options.width
        for sentence in self._nearest(oldest):
            if sentence.options.width > rows:
                break
            taken.append(sentence)
            rows -= sentence.options.width
        for sentence in taken:
            self.remove(sentence)
        return taken

    def clear(self) -> list[Sentence]:
        """Take everybody out."""
        lines = self._sentences_by_length.values()
        waiting = [sentence for line in lines for sentence in line.values()]
        for sentence in waiting:
            self.remove(sentence)
        return waiting

    def _nearest(self, oldest: Sentence) -> Iterator[Sentence]:
        lengths = sorted(self._sentences_by_length, key=lambda each: abs(each - oldest.length))
        shortest = longest = oldest.length
        for length in lengths:
            shortest, longest = min(shortest, length), max(longest, length)
            if longest > _LENGTH_RATIO * shortest + _LENGTH_SLACK:
                return
            line = self._sentences_by_length[length].values()
            yield from (sentence for sentence in line if sentence is not oldest)

    def _account(self, sentence: Sentence, sign: int) -> None:
        self._count += sign
        self.tokens += sign * sentence.length
        self.rows += sign * sentence.options.width
