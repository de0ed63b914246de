"""Sentences that were decoded before: whoever asks for one again, in the same way, has it at once.

A search is decided by its source and its options, and so is what it finds: an answer from here is
the one that the model would give. It belongs to one model and goes with it.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from service import metrics
from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.scheduler import Scheduler
from service.engine.waiting_line import Priority

_Key = tuple[tuple[int, ...], SearchOptions]
_Answer = Future[list[Hypothesis]]


class Cache:
    """What a scheduler found, of the sentences that were asked for last.

    Sentences whose attention is wanted are not kept: it takes far more room than they do. Any
    thread may ask.
    """

    def __init__(self, scheduler: Scheduler, max_sentences: int, model: str) -> None:
        self._scheduler = scheduler
        self._max_sentences = max_sentences
        self._found: OrderedDict[_Key, list[Hypothesis]] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = metrics.CACHE.labels(model, "hit")
        self._misses = metrics.CACHE.labels(model, "miss")

    def __len__(self) -> int:
        return len(self._found)

    def submit(
        self,
        sources: Sequence[Sequence[int]],
        options: Sequence[SearchOptions],
        *,
        priority: Priority,
        deadline: float | None,
    ) -> list[_Answer]:
        """Do what `Scheduler.submit` does, but decode only what is not known.

        Sentences that occur twice among these are decoded once, and have one future.
        """
        keys = [(tuple(source), each) for source, each in zip(sources, options, strict=True)]
        answers = self._known(keys)
        missing = list(dict.fromkeys(key for key in keys if key not in answers))
        self._hits.inc(len(keys) - len(missing))
        self._misses.inc(len(missing))
        if missing:
            found = self._scheduler.submit(
                [source for source, _ in missing],
                [each for _, each in missing],
                priority=priority,
                deadline=deadline,
            )
            answers |= zip(missing, found, strict=True)
        for key in missing:
            if not key[1].with_attention:
                answers[key].add_done_callback(partial(self._keep, key))
        return [answers[key] for key in keys]

    def _known(self, keys: Sequence[_Key]) -> dict[_Key, _Answer]:
        answers: dict[_Key, _Answer] = {}
        with self._lock:
            for key in keys:
                if key in self._found:
                    self._found.move_to_end(key)
                    answers[key] = Future()
                    answers[key].set_result(self._found[key])
        return answers

    def _keep(self, key: _Key, answer: _Answer) -> None:
        if answer.cancelled() or answer.exception():
            return
        with self._lock:
            self._found[key] = answer.result()
            while len(self._found) > self._max_sentences:
                self._found.popitem(last=False)
