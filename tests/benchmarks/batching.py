"""Batching by simple rules, for comparison: one thread, one batch, greedy search.

take -> admit -> step -> retire, as the service does, but for what a `Rule` says
"""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.policy import Policy
from service.engine.search import Beams
from service.engine.waiting_line import Sentence, WaitingLine
from service.engine.worker import LiveBatch


@dataclass(frozen=True)
class Rule:
    """Who is decoded together."""

    max_rows: int = 10**9
    """Rows of a batch, where not all are to be used."""
    window_seconds: float = 0.0
    """How long the first sentence of a batch waits for others."""
    drops: bool = True
    """Whether a sentence that is done is answered, and leaves, while others go on."""
    groups: bool = False
    """Whether those of like length are taken together, the oldest and its nearest."""
    joins: int = 0
    """How many must wait until they join others who are being decoded; 0: they never do."""
    is_of_interest: bool = False
    """Whether its latencies are to be measured."""


LOOPS = {
    "one by one": Rule(max_rows=1),
    "whole batches, wait for the longest": Rule(drops=False, is_of_interest=True),
    "whole batches, window of 10 ms": Rule(drops=False, window_seconds=0.01),
    "whole batches, finished rows leave": Rule(),
    "whole batches of like lengths, finished rows leave": Rule(groups=True, is_of_interest=True),
    "continuous, join at every step": Rule(joins=1, is_of_interest=True),
    "continuous, join when 4 wait": Rule(joins=4),
    "continuous, join when 16 wait": Rule(joins=16),
}


@dataclass(frozen=True)
class Rows:
    """What steps computed."""

    computed: float
    useful: float

    def __sub__(self, other: "Rows") -> "Rows":
        return Rows(self.computed - other.computed, self.useful - other.useful)

    @property
    def useful_share(self) -> float:
        """The part that continued an unfinished sentence."""
        return self.useful / self.computed


class Request(Protocol):
    """What is submitted."""

    @property
    def source(self) -> list[int]:
        """Token ids."""

    @property
    def options(self) -> SearchOptions:
        """How to search."""


class Arrivals:
    """Those who wait, in the order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Sentence] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest(self) -> Sentence:
        """Who has waited longest."""
        return self._waiting[0]

    def add(self, sentence: Sentence) -> None:
        """Put a sentence at the end."""
        self._waiting.append(sentence)

    def take(self, max_rows: int, _: int, __: float) -> list[Sentence]:
        """Take the oldest."""
        count = min(max_rows, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]


class Loop:
    """Decodes what is submitted, by a rule."""

    def __init__(self, batch: LiveBatch, max_rows: int, rule: Rule) -> None:
        self._batch = batch
        self._rule = rule
        self._max_rows = min(max_rows, rule.max_rows)
        self._line = WaitingLine(Policy()) if rule.groups else Arrivals()
        self._changed = threading.Condition()
        self._beams = Beams(1)
        self._active: list[Sentence] = []
        self._is_closed = False
        self.rows = Rows(0, 0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[list[Hypothesis]]:
        """Queue one sentence."""
        sentence = Sentence(request.source, request.options)
        with self._changed:
            self._line.add(sentence)
            self._changed.notify()
        return sentence.future

    def close(self) -> None:
        """Finish what was submitted."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._line) or self._active or self._is_closed)
                if not len(self._line) and not self._active:
                    return
                joining = self._choose()
            if joining:
                sources = [sentence.source for sentence in joining]
                rows = self._batch.admit(sources)
                self._beams.join([each.options for each in joining], rows, sources)
                self._active += joining
            self._step()
            self._retire()

    def _choose(self) -> list[Sentence]:
        rule, free = self._rule, self._max_rows - len(self._active)
        if self._active and not (rule.joins and len(self._line) >= rule.joins and free):
            return []
        if rule.window_seconds and not self._active:
            left = self._line.oldest.arrived + rule.window_seconds - monotonic()
            self._changed.wait_for(lambda: len(self._line) >= self._max_rows, max(0.0, left))
        return self._line.take(free, free, float("inf"))

    def _step(self) -> None:
        beams = self._beams
        for result in self._batch.step(*beams.moves, beams.count_candidates()):
            self.rows = Rows(self.rows.computed + len(beams), self.rows.useful + beams.num_live)
            beams.advance(result)

    def _retire(self) -> None:
        is_done_N = self._beams.is_done
        if not is_done_N.any() or not (self._rule.drops or is_done_N.all()):
            return
        for i in is_done_N.nonzero()[0].tolist():
            self._active[i].future.set_result(self._beams.hypotheses(i))
        order = self._beams.keep(~is_done_N)
        self._active = [self._active[old] for old in order.tolist()]
        if not self._active:
            self._batch.clear()
            self._beams = Beams(1)
