"""Sentences that fail if they are not done in time, waiting or being decoded.

A thread sleeps until the next deadline, so that nobody waits longer than that for a worker
that is stuck; workers ask as well before each step, so that they decode nothing in vain.
"""

import math
import threading
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic

from service.engine.waiting_line import Sentence
from service.engine.worker import fail
from service.errors import DeadlineExceeded

# The heap is made anew when so many more than half of it are done.
_SLACK = 64


class Deadlines:
    """Fails the sentences it is given when their deadline passes. Any thread may use it."""

    def __init__(self, name: str) -> None:
        self._changed = threading.Condition()
        self._open: set[Sentence] = set()
        self._heap: list[tuple[float, int, Sentence]] = []
        self._numbers = count()
        self._next = math.inf
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, sentence: Sentence) -> None:
        """Watch a sentence, if it has a deadline."""
        if sentence.deadline is None:
            return
        with self._changed:
            self._open.add(sentence)
            heappush(self._heap, (sentence.deadline, next(self._numbers), sentence))
            if sentence.deadline < self._next:
                self._next = sentence.deadline
                self._changed.notify()

    def discard(self, sentence: Sentence) -> None:
        """Forget a sentence that is done."""
        if sentence.deadline is None:
            return
        with self._changed:
            self._open.discard(sentence)
            if len(self._heap) > 2 * len(self._open) + _SLACK:
                self._heap = [each for each in self._heap if each[2] in self._open]
                heapify(self._heap)

    def expire(self) -> None:
        """Fail those whose deadline has passed."""
        if monotonic() < self._next:
            return
        with self._changed:
            expired = self._take_expired()
        fail(expired, DeadlineExceeded, "the deadline of the request has passed")

    def close(self) -> None:
        """Watch no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed:
            with self._changed:
                if not self._is_closed:
                    seconds = min(self._next - monotonic(), threading.TIMEOUT_MAX)
                    self._changed.wait(max(0.0, seconds))
            self.expire()

    def _take_expired(self) -> list[Sentence]:
        now, expired = monotonic(), []
        while self._heap and self._heap[0][0] <= now:
            sentence = heappop(self._heap)[2]
            if sentence in self._open:
                self._open.remove(sentence)
                expired.append(sentence)
        self._next = self._heap[0][0] if self._heap else math.inf
        return expired
