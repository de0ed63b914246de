"""Sentences that are not free to choose their tokens, and how they choose.

A guide takes the place of the beam's own choice for one sentence; all others are searched as
ever. Here is the one that scores a translation which is given; `constrained.py` has the other.

Shapes: K rows, C candidates for each row, S source positions.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from service.engine.hypothesis import EOS, Hypothesis
from service.engine.selection import Integers, Totals

Attention = NDArray[np.float32]


class Choice(NamedTuple):
    """What becomes of the rows of one sentence."""

    rows: Sequence[int]
    """Those that go on, best first, no more than K; a row may go on in several ways."""
    tokens: Sequence[int]
    totals: Sequence[float]
    ended: Sequence[tuple[int, float]]
    """Rows that end here, and their totals."""


class Guide(Protocol):
    """Chooses for one sentence; it knows the rows by what it has chosen."""

    num_candidates: int
    """Candidates that it wants to see of each row; there may be fewer."""

    reads_attention: bool
    """Whether it must know what the rows attend to."""

    def choose(
        self, totals_KC: Totals, tokens_KC: Integers, attention_KS: Attention | None
    ) -> Choice:
        """Return what goes on and what ends; `follow` comes after it."""

    def complete(self, hypothesis: Hypothesis, row: int) -> Hypothesis:
        """Add what it knows of a row to its hypothesis; `follow` has not come yet."""

    def follow(self) -> None:
        """Let the rows be those that were chosen."""


class ForcedGuide:
    """Takes a translation token by token, then EOS, and notes how likely each was."""

    num_candidates = 1 << 30
    reads_attention = False

    def __init__(self, tokens: Sequence[int]) -> None:
        self._left = [EOS, *reversed(tokens)]
        self._scores: list[float] = []
        self._total = 0.0

    def choose(
        self, totals_KC: Totals, tokens_KC: Integers, attention_KS: Attention | None
    ) -> Choice:
        """See `Guide`."""
        token = self._left.pop()
        # A token that no candidate is has no score: then the scores are no numbers.
        total = float(totals_KC[0, tokens_KC[0] == token].max(initial=-np.inf))
        self._scores.append(total - self._total)
        self._total = total
        if token == EOS:
            return Choice([], [], [], [(0, total)])
        return Choice([0], [token], [total], [])

    def complete(self, hypothesis: Hypothesis, row: int) -> Hypothesis:
        """See `Guide`."""
        return replace(hypothesis, token_scores=tuple(self._scores))

    def follow(self) -> None:
        """See `Guide`."""
