"""Beam search among hypotheses of which some have more of what must appear than others.

Those that have it all are less likely than those that have none of it, for they paid for it
already: in one beam they would never survive. So the rows are shared out among banks, one for each
number of constraints that are met or under way, and hypotheses compete within their bank. Every
hypothesis is also continued by each token that a constraint wants next, however unlikely.

Where it is known what of the source a constraint translates, hypotheses compete by what attention
says of its place, not by what the model thinks of words that it would not have chosen: see
`Constraints.advance`. Scores remain the model's own.

Sources: Hokamp and Liu 2017, "Lexically Constrained Decoding for Sequence Generation Using Grid
Beam Search" (a beam for each number of constrained tokens); Post and Vilar 2018, "Fast Lexically
Constrained Decoding with Dynamic Beam Allocation for Neural Machine Translation" (one beam of
constant size, shared out); Chatterjee et al. 2017, "Guiding Neural Machine Translation Decoding
with External Knowledge" (attention tells where a term belongs).

Shapes: K rows, C candidates for each row.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from service.engine.constraints import Constraints, Progress
from service.engine.guides import Attention, Choice
from service.engine.hypothesis import BOS, EOS, Hypothesis, SearchOptions
from service.engine.selection import Integers, Totals

NUM_CANDIDATES = 64
"""Candidates that are looked at; what comes behind them counts as the last of them does. With four
times as many, the translations of 100 sentences with terms are the same."""

# Both measured on dev (tests/benchmarks/terms.py): from 0.7 to 0.9, from 0.001 to 0.01, BLEU is
# the same within 0.2; with all of the log-probability gone, a form is as good as another.
_COPIED = 0.8
"""Share of the log-probability of its tokens that a constraint is spared; see `Constraints`."""
_MIN_ATTENTION = 0.01
"""Less attention on what a constraint translates counts as this."""


_NO_TOKEN = -1


class _Standing(NamedTuple):
    """What a row has of the constraints, and where that puts it."""

    progress: Progress
    credit: float
    bank: int
    num_tokens: int


class _Extension(NamedTuple):
    """A row and what it may go on with."""

    rank: float
    """Its total, with the credit of its constraints."""
    total: float
    row: int
    token: int
    standing: _Standing


class ConstrainedGuide:
    """Chooses for a sentence with constraints."""

    num_candidates = NUM_CANDIDATES

    def __init__(self, options: SearchOptions) -> None:
        self._width = options.width
        self._constraints = Constraints(options.constraints, options.case_ids)
        self.reads_attention = any(self._constraints.places)
        self._steps_left = options.limit
        self._rows = [(self._constraints.beginning, BOS)]
        self._totals = [0.0]
        self._chosen: list[_Extension] = []

    def choose(
        self, totals_KC: Totals, tokens_KC: Integers, attention_KS: Attention | None
    ) -> Choice:
        """See `Guide`."""
        extensions = [
            each
            for row in range(len(self._rows))
            for each in self._extensions(
                row, totals_KC[row], tokens_KC[row], self._attention(row, attention_KS)
            )
        ]
        going = [each for each in extensions if each.token != EOS]
        self._chosen = chosen = self._share_out(going)
        ended = self._sift([each for each in extensions if each.token == EOS], going)
        return Choice(
            [each.row for each in chosen],
            [each.token for each in chosen],
            [each.total for each in chosen],
            [(each.row, each.total) for each in ended],
        )

    def complete(self, hypothesis: Hypothesis, row: int) -> Hypothesis:
        """See `Guide`."""
        constraints, (progress, _) = self._constraints, self._rows[row]
        credit = constraints.credit(progress)
        if credit:
            credit *= hypothesis.score / hypothesis.log_probability
        return replace(hypothesis, unmet=constraints.num_left(progress), credit=credit)

    def follow(self) -> None:
        """See `Guide`."""
        self._rows = [(each.standing.progress, each.token) for each in self._chosen]
        self._totals = [each.total for each in self._chosen]
        self._steps_left -= 1

    def _attention(self, row: int, attention_KS: Attention | None) -> list[float]:
        """Return the logarithm of how much a row looks at what each constraint translates."""
        if attention_KS is None:
            return []
        weights = (attention_KS[row, each].sum() for each in self._constraints.places)
        return [math.log(max(float(each), _MIN_ATTENTION)) for each in weights]

    def _extensions(
        self, row: int, totals_C: Totals, tokens_C: Integers, attention: Sequence[float]
    ) -> Iterator[_Extension]:
        """Yield how a row may go on: as it likes best, and as constraints want it."""
        progress, last = self._rows[row]
        constraints = self._constraints
        wanted = set(constraints.following(progress, last))
        awaited = constraints.awaited(progress)
        totals = self._totals_of(wanted, awaited, totals_C, tokens_C)
        # Most tokens are none of any constraint, and lead to the same.
        other = self._stand(constraints.advance(progress, last, _NO_TOKEN))
        for token, total in totals.items():
            if total == -np.inf:
                continue
            standing = other
            if token in wanted or token in awaited or constraints.is_mark(token):
                cost = _COPIED * (total - self._totals[row])
                after = constraints.advance(progress, last, token, cost, attention)
                standing = self._stand(after)
            yield _Extension(total + standing.credit, total, row, token, standing)

    def _totals_of(
        self, wanted: set[int], awaited: frozenset[int], totals_C: Totals, tokens_C: Integers
    ) -> dict[int, float]:
        """Return the tokens that are looked at, and the total that a row has with each."""
        best = tokens_C[: self._width + 1].tolist()
        totals = dict(zip(best, totals_C.tolist(), strict=False))
        if awaited and awaited.isdisjoint(best):
            place = np.flatnonzero(np.isin(tokens_C, list(awaited)))[:1]
            totals |= zip(tokens_C[place].tolist(), totals_C[place].tolist(), strict=True)
        if self._steps_left == 1:
            wanted = wanted | {EOS}
        for token in wanted.difference(best):
            # One that no candidate is is less likely than all of them.
            place = np.flatnonzero(tokens_C == token)
            totals[token] = float(totals_C[place[0] if len(place) else -1])
        return totals

    def _stand(self, progress: Progress) -> _Standing:
        constraints = self._constraints
        return _Standing(
            progress,
            constraints.credit(progress),
            constraints.num_begun(progress),
            constraints.num_tokens(progress),
        )

    def _share_out(self, going: Sequence[_Extension]) -> list[_Extension]:
        """Give each bank its share of the rows; what one does not need goes to the best of all."""
        if not going:
            return []
        ranked = sorted(going, reverse=True)
        # One of those that have most goes on in any case: it will have more after every step, so
        # that in the end one has all.
        first = max(ranked, key=lambda each: each.standing.num_tokens)
        banks: dict[int, list[_Extension]] = {first.standing.bank: [first]}
        for each in ranked:
            if each is not first:
                banks.setdefault(each.standing.bank, []).append(each)
        share, rest = divmod(self._width, self._constraints.count + 1)
        chosen, others = [], []
        for number, bank in enumerate(sorted(banks, reverse=True)):
            size = share + (number < rest)
            chosen += banks[bank][:size]
            others += banks[bank][size:]
        chosen += sorted(others, reverse=True)[: self._width - len(chosen)]
        return sorted(chosen, reverse=True)

    def _sift(self, ends: Sequence[_Extension], going: Sequence[_Extension]) -> list[_Extension]:
        """Return what may end: with all met, what is better than its like that found no row.

        At the last step all that has all; and, in case nothing else ends, what a row likes best
        although it lacks something.
        """
        chosen = {(each.row, each.token) for each in self._chosen}
        refused = (each for each in going if (each.row, each.token) not in chosen)
        bar = max(
            (each.rank for each in refused if not any(each.standing.progress.left)),
            default=-np.inf,
        )
        if self._steps_left == 1:
            bar = -np.inf
        return [
            each
            for each in ends
            if (each.rank > bar and not self._constraints.num_left(self._rows[each.row][0]))
            or all(each.total > other.total for other in going if other.row == each.row)
        ]
