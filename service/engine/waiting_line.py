"""Sentences that wait for a worker: taken oldest first, together with others of their length.

A batch of like lengths needs little padding, and sentences of one beam width are decoded
together. Not safe between threads by itself; the scheduler's lock guards it.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.policy import Policy
from service.record import Record, current_record

Priority = Literal["interactive", "batch"]


@dataclass(slots=True, eq=False)
class Sentence:
    """A source, how to search, and the future that waits for its hypotheses."""

    source: Sequence[int]
    options: SearchOptions
    priority: Priority = "interactive"
    deadline: float | None = None
    """When it fails if it is not done, as `time.monotonic` counts."""
    future: Future[list[Hypothesis]] = field(default_factory=Future)
    arrived: float = field(default_factory=monotonic)
    admitted: float = math.nan
    """When a worker took it into its batch."""
    encoded: float = math.nan
    """When it and those that joined with it had been encoded."""
    record: Record | None = field(default_factory=current_record)
    """Of the request that it came with."""
    number: int = -1
    """Place in the order of arrival, given by the waiting line."""
    length: int = field(init=False)
    """Source tokens."""

    def __post_init__(self) -> None:
        self.length = len(self.source)

    def note_end(self) -> None:
        """Note in the record of its request what it took, now that it is done."""
        if self.record is not None:
            self.record.note_sentence(self.arrived, self.admitted, self.encoded, monotonic())

    @property
    def work(self) -> int:
        """What it costs to decode, in source tokens times rows."""
        return self.length * self.options.width


class WaitingLine:
    """Keeps sentences in the order of arrival, and by width and length."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sentences: OrderedDict[int, Sentence] = OrderedDict()
        self._by_length_by_width: dict[int, dict[int, OrderedDict[int, Sentence]]] = {}
        self._next_number = 0
        self.tokens = 0
        """Source tokens of all that wait."""
        self.rows = 0
        """Rows that all who wait will take."""
        self.work = 0
        """What all who wait will cost; see `Sentence.work`."""

    def __len__(self) -> int:
        return len(self._sentences)

    @property
    def oldest(self) -> Sentence | None:
        """Who has waited longest."""
        return next(iter(self._sentences.values()), None)

    def add(self, sentence: Sentence) -> None:
        """Put a sentence at the end."""
        sentence.number = self._next_number
        self._next_number += 1
        self._sentences[sentence.number] = sentence
        by_length = self._by_length_by_width.setdefault(sentence.options.width, {})
        by_length.setdefault(sentence.length, OrderedDict())[sentence.number] = sentence
        self._account(sentence, 1)

    def remove(self, sentence: Sentence) -> bool:
        """Take a sentence out, wherever it stands; False if it is not waiting."""
        if self._sentences.get(sentence.number) is not sentence:
            return False
        del self._sentences[sentence.number]
        by_length = self._by_length_by_width[sentence.options.width]
        del by_length[sentence.length][sentence.number]
        if not by_length[sentence.length]:
            del by_length[sentence.length]
        self._account(sentence, -1)
        return True

    def take(self, max_rows: int, max_rows_oldest: int, max_work: float) -> list[Sentence]:
        """Take the oldest sentence, then those of its width that are nearest to it in length.

        Nobody overtakes an oldest sentence that is too wide: then nothing is taken.

        Args:
            max_rows: rows that all of them may need together.
            max_rows_oldest: rows that the oldest may need if it is taken alone.
            max_work: what all of them may cost together; the oldest may cost more.
        """
        oldest = self.oldest
        if oldest is None or oldest.options.width > max_rows_oldest:
            return []
        taken = [oldest]
        room, work = max_rows // oldest.options.width, oldest.work
        for sentence in self._nearest(oldest):
            work += sentence.work
            if len(taken) >= room or work > max_work:
                break
            taken.append(sentence)
        for sentence in taken:
            self.remove(sentence)
        return taken

    def clear(self) -> list[Sentence]:
        """Take everybody out."""
        waiting = list(self._sentences.values())
        for sentence in waiting:
            self.remove(sentence)
        return waiting

    def _nearest(self, oldest: Sentence) -> Iterator[Sentence]:
        by_length = self._by_length_by_width[oldest.options.width]
        shortest = longest = oldest.length
        for length in sorted(by_length, key=lambda each: abs(each - oldest.length)):
            shortest, longest = min(shortest, length), max(longest, length)
            if longest > self._policy.length_ratio * shortest + self._policy.length_slack:
                return
            yield from (each for each in by_length[length].values() if each is not oldest)

    def _account(self, sentence: Sentence, sign: int) -> None:
        self.tokens += sign * sentence.length
        self.rows += sign * sentence.options.width
        self.work += sign * sentence.work
