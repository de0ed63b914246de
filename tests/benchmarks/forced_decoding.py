"""Decodes sentences of one length to targets of one length, and times the parts of it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from engine_side import decode

from models.bundle import Bundle
from models.tokenizer import EOS
from service.engine.hypothesis import SearchOptions
from service.engine.sessions import Sessions

SOURCE_TOKENS, TARGET_TOKENS = 14, 16
FIRST_WORD = 4


Clock = Callable[[], float]
"""`time.perf_counter`, or `time.thread_time` where other processes want the cores too."""


@dataclass(frozen=True, order=True)
class Case:
    """What is decoded, and how."""

    variant: str
    width: int
    batch: int
    """Sentences decoded together."""
    workers: int
    """Threads; each has its own batch, all have the same sessions."""


@dataclass(frozen=True)
class Sample:
    """One measurement of a case; the times of the parts are those of all workers together."""

    per_second: float
    """Sentences, all workers together."""
    seconds: float
    encode_seconds: float
    step_seconds: float
    steps: int


class Clocked:
    """Sessions that know how long their graphs have run. For one thread."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions, self._clock = sessions, clock
        self.encode_seconds = self.step_seconds = 0.0
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sessions, name)

    def encode(self, *tensors: Any) -> Any:
        """Run the encoder."""
        began = self._clock()
        found = self._sessions.encode(*tensors)
        self.encode_seconds += self._clock() - began
        return found

    def step(self, feed: Any, **flags: Any) -> Any:
        """Run the step."""
        began = self._clock()
        found = self._sessions.step(feed, **flags)
        self.step_seconds += self._clock() - began
        self.steps += 1
        return found


def random_sources(count: int, vocabulary: int) -> list[list[int]]:
    """Draw sentences of SOURCE_TOKENS tokens, always the same ones."""
    random = np.random.default_rng(0)
    words = random.integers(FIRST_WORD, vocabulary, (count, SOURCE_TOKENS - 1))
    return [[*source, EOS] for source in words.tolist()]


class ForcedDecoding:
    """Decodes the same random sentences over and over."""

    def __init__(
        self, bundle: Bundle, vocabulary: int, seconds: float, clock: Clock = time.perf_counter
    ) -> None:
        self._bundle = bundle
        self._vocabulary = vocabulary
        self._seconds, self._clock = seconds, clock
        self.sessions: dict[str, Sessions] = {}
        """By variant, opened when they are needed first."""

    def sample(self, case: Case) -> Sample:
        """Let all workers decode batch after batch for a while."""
        if case.variant not in self.sessions:
            self.sessions[case.variant] = Sessions(self._bundle, variant=case.variant)
        sources = random_sources(case.batch, self._vocabulary)
        with ThreadPoolExecutor(case.workers) as pool:
            found = list(pool.map(lambda _: self._decode(case, sources), range(case.workers)))
        return Sample(
            sum(each.per_second for each in found),
            sum(each.seconds for each in found),
            sum(each.encode_seconds for each in found),
            sum(each.step_seconds for each in found),
            sum(each.steps for each in found),
        )

    def _decode(self, case: Case, sources: Sequence[Sequence[int]]) -> Sample:
        sessions = Clocked(self.sessions[case.variant], self._clock)
        options = SearchOptions(width=case.width, max_tokens=TARGET_TOKENS)
        began, passes = self._clock(), 0
        while (seconds := self._clock() - began) < self._seconds:
            decode(sessions, sources, options)  # type: ignore[arg-type]
            passes += 1
        assert sessions.steps == passes * TARGET_TOKENS, "a sentence was not as long as it must be"
        return Sample(
            passes * case.batch / seconds,
            seconds,
            sessions.encode_seconds,
            sessions.step_seconds,
            sessions.steps,
        )
